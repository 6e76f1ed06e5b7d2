"""HTTP, with `tritonclient.http` and its asyncio twin, and bare where that client cannot go."""

import json
import time
import zlib

import numpy as np
import tritonclient.http as client
import tritonclient.http.aio as aio
import tritonclient.utils.shared_memory as shm
from data import *
from tritonclient.utils import serialize_byte_tensor


def connect(server):
    return client.InferenceServerClient(server.http)


def tensor(name, array, datatype, binary=True):
    given = client.InferInput(name, list(array.shape), datatype)
    given.set_data_from_numpy(array, binary_data=binary)
    return given


def check_health(server):
    c = connect(server)
    assert c.is_server_live() and c.is_server_ready()
    assert c.is_model_ready("colors") and c.is_model_ready("colors", "1")
    assert not c.is_model_ready("nothing") and not c.is_model_ready("colors", "9")


def check_metadata(server):
    c = connect(server)
    about = c.get_server_metadata()
    assert about["name"] == "tintype" and about["version"], about
    for extension in ("statistics", "model_repository", "system_shared_memory", "classification", "trace"):
        assert extension in about["extensions"], about
    for absent in ("cuda_shared_memory", "sequence"):
        assert absent not in about["extensions"], about
    about = c.get_model_metadata("colors")
    assert about["versions"] == ["1"] and about["platform"] == "onnxruntime_onnx", about
    assert about["inputs"][0] == {"name": "IMAGE", "datatype": "BYTES", "shape": [-1, 1]}, about
    assert {"name": "SCORES", "datatype": "FP32", "shape": [-1, 3]} in about["outputs"], about
    assert c.get_model_metadata("double_then_increment")["platform"] == "ensemble"
    refused(lambda: c.get_model_metadata("nothing"), "Request for unknown model: 'nothing' is not found")
    refused(lambda: c.get_model_metadata("colors", "9"), "version 9 is not found", status="404")


def check_config(server):
    c = connect(server)
    config = c.get_model_config("identity_fp32", "1")
    assert config["name"] == "identity_fp32" and config["max_batch_size"] == 4, config
    assert config["input"][0]["data_type"] == "TYPE_FP32" and config["input"][0]["dims"] == [-1], config
    steps = c.get_model_config("double_then_increment")["ensemble_scheduling"]["step"]
    assert [step["model_version"] for step in steps] == [-1, -1], steps


def check_trace(server):
    c = connect(server)
    before = c.get_trace_settings()
    assert before["trace_level"] == ["OFF"] and before["trace_rate"] == "1000", before
    assert before["trace_count"] == "-1" and before["log_frequency"] == "0", before
    file = server.log.parent / "trace.json"
    assert before["trace_file"] == str(file), before
    settings = {"trace_level": ["TIMESTAMPS", "TENSORS"], "trace_rate": "1", "trace_count": "2"}
    changed = c.update_trace_settings("double", settings)
    assert changed == {**before, **settings}, changed
    assert c.get_trace_settings("double") == changed and c.get_trace_settings() == before
    batch = np.arange(4, dtype=np.float32).reshape(1, 4)
    for n in range(3):
        c.infer("double", [tensor("x", batch, "FP32")], request_id=str(n))
    assert c.get_trace_settings("double")["trace_count"] == "0"
    assert c.update_trace_settings("double", {name: None for name in settings}) == before
    refused(lambda: c.update_trace_settings(settings={"trace_file": "x"}), "can not be updated", status="501")
    refused(lambda: c.update_trace_settings(settings={"trace_rate": "x"}), "Unable to parse 'trace_rate'")
    refused(lambda: c.get_trace_settings("nothing"), "unknown model")
    numbered = file.with_name(file.name + ".0")
    for _ in range(100):
        if numbered.exists() and numbered.read_text().endswith("]"):
            break
        time.sleep(0.05)
    records = json.loads(numbered.read_text())
    assert [r["request_id"] for r in records if "request_id" in r] == ["0", "1"], records
    activities = [r["activity"] for r in records if "activity" in r]
    assert activities == ["TENSOR_QUEUE_INPUT", "TENSOR_BACKEND_OUTPUT"] * 2, activities


def check_identity_of_every_type(server):
    c = connect(server)
    for datatype, array in VALUES.items():
        name = f"identity_{datatype.lower()}"
        answer = c.infer(name, [tensor("x", array, datatype)], request_id="42")
        same(answer.as_numpy("y"), array)
        described = answer.get_response()
        assert described["id"] == "42" and described["model_version"] == "1", described
        assert list(described)[:3] == ["id", "model_name", "model_version"], described


def check_identity_in_json(server):
    c = connect(server)
    for datatype in IN_JSON:
        array = VALUES[datatype]
        outputs = [client.InferRequestedOutput("y", binary_data=False)]
        answer = c.infer(f"identity_{datatype.lower()}", [tensor("x", array, datatype, binary=False)], outputs=outputs)
        found = answer.as_numpy("y")
        same(found.astype(array.dtype) if datatype != "BYTES" else np.char.encode(found.astype(str)).astype(object), array)


def check_bytes_that_are_not_text(server):
    c = connect(server)
    array = np.array([[b"\xff\xfe", b"a\xc3"]], dtype=np.object_)
    given = [tensor("x", array, "BYTES")]
    same(c.infer("identity_bytes", given).as_numpy("y"), array)
    in_json = [client.InferRequestedOutput("y", binary_data=False)]
    refused(lambda: c.infer("identity_bytes", given, outputs=in_json), "not UTF-8", status="400")
    assert c.is_model_ready("identity_bytes")


def check_a_model_that_refuses_its_input(server):
    c = connect(server)
    index = np.array([[7]], np.int64)
    for _ in range(10):
        refused(lambda: c.infer("lookup", [tensor("x", index, "INT64")]), "out of data bounds", status="400")
        assert c.is_model_ready("lookup"), "the next request finds it as before"
    same(c.infer("lookup", [tensor("x", index - 6, "INT64")]).as_numpy("y"), np.array([[20.0]], np.float32))


def check_batches_and_shapes(server):
    c = connect(server)
    batch = np.arange(12, dtype=np.float32).reshape(3, 4)
    same(c.infer("double", [tensor("x", batch, "FP32")]).as_numpy("y"), batch * 2)
    refused(
        lambda: c.infer("double", [tensor("x", np.zeros((5, 4), np.float32), "FP32")]),
        "[request id: <id_unknown>] inference request batch-size must be <= 4 for 'double'",
    )
    refused(
        lambda: c.infer("double", [tensor("x", np.zeros((1, 5), np.float32), "FP32")], request_id="7"),
        "[request id: 7] unexpected shape for input 'x' for model 'double'. Expected [-1,4], got [1,5].",
    )
    refused(
        lambda: c.infer("double", [tensor("x", np.zeros((1, 4), np.int32), "INT32")]),
        "inference input 'x' data-type is 'INT32', but model 'double' expects 'FP32'",
    )
    refused(lambda: c.infer("double", [tensor("z", batch, "FP32")]), "unexpected inference input 'z' for model 'double'")
    wanted = [client.InferRequestedOutput("z")]
    refused(
        lambda: c.infer("double", [tensor("x", batch, "FP32")], outputs=wanted),
        "unexpected inference output 'z' for model 'double'",
    )
    refused(lambda: c.infer("nothing", [tensor("x", batch, "FP32")]), "unknown model: 'nothing' is not found")


def check_ensemble(server):
    batch = np.arange(8, dtype=np.float32).reshape(2, 4)
    answer = connect(server).infer("double_then_increment", [tensor("IN", batch, "FP32")])
    same(answer.as_numpy("OUT"), batch * 2 + 1)


def check_images(server):
    c = connect(server)
    for label in LABELS:
        for as_text in (False, True):
            for binary in (True, False) if as_text else (True,):
                given = tensor("IMAGE", image_tensor(label, as_text), "BYTES", binary)
                answer = c.infer("colors", [given])
                assert answer.as_numpy("LABEL").tolist() == [[label.encode()]], answer.as_numpy("LABEL")
                assert abs(answer.as_numpy("PROBABILITY")[0, 0] - probabilities(label).max()) < 1e-6


def check_a_raw_body(server):
    status, headers, body = http(
        f"{server.http}/v2/models/colors/infer", png("green"), {"Inference-Header-Content-Length": "0"}
    )
    assert status == 200, body
    header = int(headers["Inference-Header-Content-Length"])
    outputs = json.loads(body[:header])["outputs"]
    assert [output["name"] for output in outputs] == ["LABEL", "PROBABILITY", "SCORES"], outputs
    assert body[header:][4:9] == b"green", body[header:]
    assert headers["Content-Type"] == "application/octet-stream"


def check_classification(server):
    c = connect(server)
    wanted = [client.InferRequestedOutput("SCORES", class_count=2)]
    answer = c.infer("colors", [tensor("IMAGE", image_tensor("green"), "BYTES")], outputs=wanted)
    classes = answer.as_numpy("SCORES")
    assert classes.shape == (1, 2), classes
    value, index, label = classes[0, 0].decode().split(":")
    assert (index, label) == ("1", "green") and value == f"{probabilities('green').max():.6f}", classes


def check_compression(server):
    c = connect(server)
    array = np.zeros((1, 5000), np.float32)
    for request in ("gzip", "deflate", None):
        for response in ("gzip", "deflate", None):
            answer = c.infer(
                "identity_fp32",
                [tensor("x", array, "FP32")],
                request_compression_algorithm=request,
                response_compression_algorithm=response,
            )
            same(answer.as_numpy("y"), array)
    url = f"{server.http}/v2/models/identity_fp32/infer"
    status, body = http_json(url, {}, headers={"Content-Encoding": "br"})
    assert status == 415 and "content encoding" in body["error"], body
    status, _, _ = http(url, zlib.compress(b"0" * (65 << 20)), {"Content-Encoding": "deflate"})
    assert status == 400, status


def check_parameters(server):
    c = connect(server)
    given = [tensor("x", VALUES["FP32"], "FP32")]
    c.infer("identity_fp32", given, priority=1, timeout=10_000_000, sequence_id=3, sequence_start=True)
    c.infer("identity_fp32", given, parameters={"mine": "yes", "other": 3})
    request = {"inputs": [], "parameters": {"triton_secret": 1}}
    status, body = http_json(f"{server.http}/v2/models/identity_fp32/infer", request)
    assert status == 400 and "reserved" in body["error"], body


def check_statistics(server):
    c = connect(server)
    before = c.get_inference_statistics("double")["model_stats"][0]
    c.infer("double", [tensor("x", np.zeros((3, 4), np.float32), "FP32")])
    after = c.get_inference_statistics("double", "1")["model_stats"][0]
    assert after["inference_count"] - before["inference_count"] == 3, (before, after)
    assert after["execution_count"] - before["execution_count"] == 1, (before, after)
    for group in ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output"):
        assert set(after["inference_stats"][group]) == {"count", "ns"}, after
    assert after["inference_stats"]["success"]["count"] > before["inference_stats"]["success"]["count"]
    assert any(batch["batch_size"] == 3 for batch in after["batch_stats"]), after
    everything = c.get_inference_statistics()["model_stats"]
    assert {model["name"] for model in everything} >= {"double", "colors", "double_then_increment"}


def check_shared_memory(server):
    c = connect(server)
    array = np.arange(8, dtype=np.float32).reshape(2, 4)
    size = array.nbytes
    inputs = shm.create_shared_memory_region("in", "/tintype-test-http-in", size + 8)
    outputs = shm.create_shared_memory_region("out", "/tintype-test-http-out", size)
    try:
        shm.set_shared_memory_region(inputs, [array], offset=8)
        c.register_system_shared_memory("in", "/tintype-test-http-in", size, offset=8)
        c.register_system_shared_memory("out", "/tintype-test-http-out", size)
        refused(lambda: c.register_system_shared_memory("in", "/tintype-test-http-in", size), "already in manager")
        refused(lambda: c.register_system_shared_memory("big", "/tintype-test-http-in", size + 9), "invalid args")
        refused(lambda: c.register_system_shared_memory("no", "/tintype-no-such", 1), "Unable to open shared memory")
        for key in ("/../../etc/passwd", "../etc/passwd", "/a/b", "", "/", "/.."):
            refused(lambda: c.register_system_shared_memory("evil", key, 1), "Unable to open shared memory region")
        status = c.get_system_shared_memory_status()
        assert {region["name"]: region["offset"] for region in status} == {"in": 8, "out": 0}, status
        given = client.InferInput("x", [2, 4], "FP32")
        given.set_shared_memory("in", size)
        wanted = client.InferRequestedOutput("y")
        wanted.set_shared_memory("out", size)
        answer = c.infer("double", [given], outputs=[wanted])
        assert answer.get_output("y") == {"name": "y", "datatype": "FP32", "shape": [2, 4]}, answer.get_output("y")
        same(shm.get_contents_as_numpy(outputs, np.float32, [2, 4]), array * 2)
        wanted.set_shared_memory("out", size - 4)
        refused(lambda: c.infer("double", [given], outputs=[wanted]), "should be at least 32 bytes")
        given.set_shared_memory("in", size + 1)
        refused(lambda: c.infer("double", [given]), "Invalid offset + byte size for shared memory region: 'in'")
        given.set_shared_memory("gone", size)
        refused(lambda: c.infer("double", [given]), "Unable to find shared memory region: 'gone'")
        c.unregister_system_shared_memory("in")
        refused(lambda: c.get_system_shared_memory_status("in"), "Unable to find system shared memory region: 'in'")
        c.unregister_system_shared_memory()
        assert c.get_system_shared_memory_status() == []
    finally:
        shm.destroy_shared_memory_region(inputs)
        shm.destroy_shared_memory_region(outputs)


def check_images_in_shared_memory(server):
    c = connect(server)
    packed = serialize_byte_tensor(image_tensor("blue"))
    size = len(packed.item())
    region = shm.create_shared_memory_region("image", "/tintype-test-http-image", size)
    try:
        shm.set_shared_memory_region(region, [packed])
        c.register_system_shared_memory("image", "/tintype-test-http-image", size)
        given = client.InferInput("IMAGE", [1, 1], "BYTES")
        given.set_shared_memory("image", size)
        assert c.infer("colors", [given]).as_numpy("LABEL")[0, 0] == b"blue"
        c.unregister_system_shared_memory("image")
    finally:
        shm.destroy_shared_memory_region(region)


def check_what_is_not_there(server):
    c = connect(server)
    assert c.get_cuda_shared_memory_status() == []
    refused(lambda: c.register_cuda_shared_memory("x", base64.b64encode(b"handle"), 0, 1), "GPUs not supported", status="501")
    c.unregister_cuda_shared_memory()
    for path, method, status in [
        ("/v2/nothing", "GET", 404),
        ("/v2/models/colors/versions/x/ready", "GET", 404),
        ("/v2/models/colors/infer", "GET", 405),
        ("/v2/health/live", "POST", 405),
        ("/v2/repository/elsewhere/index", "POST", 501),
    ]:
        found, body = http_json(f"{server.http}{path}", method=method)
        assert found == status and set(body) == {"error"}, (path, found, body)


def check_logging(server):
    c = connect(server)
    before = c.get_log_settings()
    assert before["log_verbose_level"] == 0 and before["log_info"] is True, before
    refused(lambda: c.infer("nothing", []), "unknown model")
    assert "request refused" not in server.log.read_text()
    assert c.update_log_settings({"log_verbose_level": 1})["log_verbose_level"] == 1
    refused(lambda: c.infer("nothing", []), "unknown model")
    assert "request refused" in server.log.read_text()
    c.update_log_settings({"log_verbose_level": 0})
    refused(lambda: c.update_log_settings({"log_file": "/tmp/x"}), "can not be updated", status="501")
    refused(lambda: c.update_log_settings({"log_info": 3}), "log_info", status="400")
    assert c.get_log_settings() == before


def check_generate(server):
    url = f"{server.http}/v2/models/colors"
    body = {"IMAGE": image_tensor("red", as_text=True)[0, 0].decode(), "id": "9"}
    status, answer = http_json(f"{url}/generate", body)
    assert status == 200 and answer["LABEL"] == "red" and answer["id"] == "9", answer
    assert list(answer)[:3] == ["id", "model_name", "model_version"], answer
    assert np.allclose(answer["SCORES"], probabilities("red"), atol=1e-6), answer
    status, headers, text = http(f"{url}/generate_stream", json.dumps(body).encode())
    assert headers["Content-Type"] == "text/event-stream", headers
    assert text.startswith(b"data: {") and text.endswith(b"}\n\n"), text
    assert json.loads(text[len(b"data: ") :]) == answer
    status, answer = http_json(f"{url}/generate", {"IMAGE": 3})
    assert status == 400 and "IMAGE" in answer["error"], answer


def check_deadlines(server):
    url = f"{server.http}/v2/models/identity_fp32/infer"
    body = json.dumps({"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [1]}]}).encode()
    assert http(url, body, {"X-Request-Timeout-Ms": "5000"})[0] == 200
    status, _, text = http(url, body, {"X-Request-Timeout-Ms": "soon"})
    assert status == 400 and "X-Request-Timeout-Ms" in json.loads(text)["error"], text


def check_metrics(server):
    for url in (f"{server.metrics}/metrics", f"{server.http}/metrics"):
        status, headers, text = http(url)
        assert status == 200 and headers["Content-Type"].startswith("text/plain"), headers
        assert b'nv_inference_count{model="double",version="1"}' in text, text[:2000]
        summary = b'nv_inference_queue_summary_us{model="double",version="1",quantile="0.999"} '
        assert summary in text, text[:2000]
        assert b'nv_inference_first_response_histogram_ms_count{model="double",version="1"} ' in text
    assert http(f"{server.metrics}/v2")[0] == 404


async def check_async(server):
    async with aio.InferenceServerClient(server.http) as c:
        assert await c.is_server_live() and await c.is_server_ready() and await c.is_model_ready("colors")
        assert (await c.get_server_metadata())["name"] == "tintype"
        assert (await c.get_model_config("colors"))["max_batch_size"] == 4
        for datatype, array in VALUES.items():
            answer = await c.infer(f"identity_{datatype.lower()}", [tensor("x", array, datatype)])
            same(answer.as_numpy("y"), array)
        array = np.zeros((1, 5000), np.float32)
        answer = await c.infer(
            "identity_fp32",
            [tensor("x", array, "FP32")],
            request_compression_algorithm="gzip",
            response_compression_algorithm="deflate",
        )
        same(answer.as_numpy("y"), array)
        assert (await c.get_inference_statistics("double"))["model_stats"]
        assert await c.get_model_repository_index()


def check_many_at_once(server):
    c = client.InferenceServerClient(server.http, concurrency=8)
    array = np.ones((1, 4), np.float32)
    waiting = [c.async_infer("double", [tensor("x", array * n, "FP32")]) for n in range(64)]
    for n, answer in enumerate(waiting):
        same(answer.get_result().as_numpy("y"), array * n * 2)
