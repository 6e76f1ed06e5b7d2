"""gRPC, with `tritonclient.grpc` and its asyncio twin, and bare stubs where that client cannot go."""

import queue

import grpc as core
import numpy as np
import tritonclient.grpc as client
import tritonclient.grpc.aio as aio
import tritonclient.utils.shared_memory as shm
from data import *
from tritonclient.grpc import service_pb2, service_pb2_grpc


def connect(server):
    return client.InferenceServerClient(server.grpc)


def stub(server):
    return service_pb2_grpc.GRPCInferenceServiceStub(core.insecure_channel(server.grpc))


def tensor(name, array, datatype):
    given = client.InferInput(name, list(array.shape), datatype)
    given.set_data_from_numpy(array)
    return given


def check_health(server):
    c = connect(server)
    assert c.is_server_live() and c.is_server_ready()
    assert c.is_model_ready("colors", "1")
    refused(lambda: c.is_model_ready("nothing"), "unknown model: 'nothing'", status="StatusCode.INVALID_ARGUMENT")
    channel = core.insecure_channel(server.grpc)
    check = channel.unary_unary("/grpc.health.v1.Health/Check")
    assert check(b"") == b"\x08\x01", "SERVING"


def check_metadata(server):
    c = connect(server)
    assert c.get_server_metadata().name == "tintype"
    about = c.get_model_metadata("colors")
    assert list(about.versions) == ["1"] and list(about.inputs[0].shape) == [-1, 1], about
    refused(lambda: c.get_model_metadata("colors", "9"), "version 9", status="StatusCode.NOT_FOUND")
    assert c.get_model_metadata("colors", "-1") == about
    refused(lambda: c.get_model_metadata("colors", "x"), "version", status="StatusCode.INVALID_ARGUMENT")


def check_config(server):
    config = connect(server).get_model_config("double_then_increment").config
    assert config.platform == "ensemble" and len(config.ensemble_scheduling.step) == 2, config
    config = connect(server).get_model_config("identity_fp32").config
    assert config.max_batch_size == 4 and list(config.input[0].dims) == [-1], config


def check_identity_of_every_type(server):
    c = connect(server)
    for datatype, array in VALUES.items():
        answer = c.infer(f"identity_{datatype.lower()}", [tensor("x", array, datatype)], request_id="42")
        same(answer.as_numpy("y"), array)
        assert answer.get_response().id == "42"


def check_typed_contents(server):
    s = stub(server)
    for datatype, field in [
        ("BOOL", "bool_contents"),
        ("INT8", "int_contents"),
        ("INT16", "int_contents"),
        ("INT32", "int_contents"),
        ("INT64", "int64_contents"),
        ("UINT8", "uint_contents"),
        ("UINT16", "uint_contents"),
        ("UINT32", "uint_contents"),
        ("UINT64", "uint64_contents"),
        ("FP32", "fp32_contents"),
        ("FP64", "fp64_contents"),
        ("BYTES", "bytes_contents"),
    ]:
        array = VALUES[datatype]
        request = service_pb2.ModelInferRequest(model_name=f"identity_{datatype.lower()}")
        given = request.inputs.add(name="x", datatype=datatype, shape=array.shape)
        getattr(given.contents, field).extend(array.flatten().tolist())
        answer = client.InferResult(s.ModelInfer(request))
        same(answer.as_numpy("y"), array)


def check_batches_and_errors(server):
    c = connect(server)
    batch = np.arange(12, dtype=np.float32).reshape(3, 4)
    same(c.infer("double", [tensor("x", batch, "FP32")]).as_numpy("y"), batch * 2)
    refused(
        lambda: c.infer("double", [tensor("x", np.zeros((5, 4), np.float32), "FP32")], request_id="7"),
        "[request id: 7] inference request batch-size must be <= 4 for 'double'",
        status="StatusCode.INVALID_ARGUMENT",
    )
    refused(lambda: c.infer("nothing", []), "unknown model", status="StatusCode.INVALID_ARGUMENT")
    refused(lambda: c.infer("double", [], model_version="9"), "version 9", status="StatusCode.NOT_FOUND")


def check_ensemble_and_images(server):
    c = connect(server)
    batch = np.arange(8, dtype=np.float32).reshape(2, 4)
    same(c.infer("double_then_increment", [tensor("IN", batch, "FP32")]).as_numpy("OUT"), batch * 2 + 1)
    for label in LABELS:
        answer = c.infer("colors", [tensor("IMAGE", image_tensor(label), "BYTES")])
        assert answer.as_numpy("LABEL")[0, 0] == label.encode()
        assert abs(answer.as_numpy("PROBABILITY")[0, 0] - probabilities(label).max()) < 1e-6
    wanted = [client.InferRequestedOutput("SCORES", class_count=1)]
    answer = c.infer("colors", [tensor("IMAGE", image_tensor("blue"), "BYTES")], outputs=wanted)
    assert answer.as_numpy("SCORES")[0, 0].endswith(b":2:blue"), answer.as_numpy("SCORES")


def check_compression(server):
    c = connect(server)
    array = np.zeros((1, 5000), np.float32)
    for algorithm in ("gzip", "deflate"):
        same(c.infer("identity_fp32", [tensor("x", array, "FP32")], compression_algorithm=algorithm).as_numpy("y"), array)


def check_statistics(server):
    c = connect(server)
    before = c.get_inference_statistics("double").model_stats[0]
    c.infer("double", [tensor("x", np.zeros((2, 4), np.float32), "FP32")])
    after = c.get_inference_statistics("double").model_stats[0]
    assert after.inference_count - before.inference_count == 2
    assert after.inference_stats.success.count - before.inference_stats.success.count == 1
    assert len(c.get_inference_statistics().model_stats) > 10


def check_shared_memory(server):
    c = connect(server)
    array = np.arange(8, dtype=np.float32).reshape(2, 4)
    size = array.nbytes
    region = shm.create_shared_memory_region("both", "/tintype-test-grpc", 2 * size)
    try:
        shm.set_shared_memory_region(region, [array])
        c.register_system_shared_memory("both", "/tintype-test-grpc", 2 * size)
        refused(
            lambda: c.register_system_shared_memory("both", "/tintype-test-grpc", size),
            "already in manager",
            status="StatusCode.ALREADY_EXISTS",
        )
        given = client.InferInput("x", [2, 4], "FP32")
        given.set_shared_memory("both", size)
        wanted = client.InferRequestedOutput("y")
        wanted.set_shared_memory("both", size, offset=size)
        answer = c.infer("double", [given], outputs=[wanted])
        assert answer.get_output("y").parameters["shared_memory_byte_size"].int64_param == size
        same(shm.get_contents_as_numpy(region, np.float32, [2, 4], offset=size), array * 2)
        regions = c.get_system_shared_memory_status().regions
        assert regions["both"].byte_size == 2 * size, regions
        c.unregister_system_shared_memory()
        assert not c.get_system_shared_memory_status().regions
    finally:
        shm.destroy_shared_memory_region(region)


def check_what_is_not_there(server):
    c = connect(server)
    assert not c.get_cuda_shared_memory_status().regions
    refused(
        lambda: c.register_cuda_shared_memory("x", base64.b64encode(b"handle"), 0, 1),
        "GPUs not supported",
        status="StatusCode.UNIMPLEMENTED",
    )
    c.unregister_cuda_shared_memory()
    unknown = core.insecure_channel(server.grpc).unary_unary("/inference.GRPCInferenceService/Unknown")
    try:
        unknown(b"")
        raise AssertionError("an unknown method answered")
    except core.RpcError as error:
        assert error.code() == core.StatusCode.UNIMPLEMENTED


def check_trace(server):
    c = connect(server)
    refused(c.get_trace_settings, "expecting header 'triton-grpc-protocol-who'", status="StatusCode.UNAVAILABLE")
    key = {"triton-grpc-protocol-who": "me"}
    get = lambda model=None: c.get_trace_settings(model_name=model, headers=key, as_json=True)["settings"]
    set = lambda model, settings: c.update_trace_settings(model, settings, headers=key, as_json=True)["settings"]
    before = get()
    assert before["trace_level"]["value"] == ["OFF"] and before["trace_rate"]["value"] == ["1000"], before
    changed = set("double", {"trace_level": ["TIMESTAMPS"], "trace_rate": "7"})
    assert changed["trace_level"]["value"] == ["TIMESTAMPS"] and changed["trace_rate"]["value"] == ["7"], changed
    assert get("double") == changed and get() == before
    assert set("double", {"trace_level": None, "trace_rate": None}) == before
    refused(lambda: set(None, {"trace_file": "x"}), "can not be updated", status="StatusCode.UNIMPLEMENTED")
    refused(lambda: set(None, {"trace_count": "-2"}), "Expecting value >= -1", status="StatusCode.INVALID_ARGUMENT")
    refused(lambda: get("nothing"), "unknown model", status="StatusCode.INVALID_ARGUMENT")


def check_logging(server):
    c = connect(server)
    before = c.get_log_settings(as_json=True)["settings"]
    changed = c.update_log_settings({"log_verbose_level": 1}, as_json=True)["settings"]
    assert changed["log_verbose_level"] == {"uint32_param": 1}, changed
    c.update_log_settings({"log_verbose_level": 0})
    assert c.get_log_settings(as_json=True)["settings"] == before
    refused(lambda: c.update_log_settings({"log_file": "x"}), "can not be updated", status="StatusCode.UNIMPLEMENTED")


def check_deadline(server):
    c = connect(server)
    given = [tensor("x", VALUES["FP32"], "FP32")]
    same(c.infer("identity_fp32", given, client_timeout=5).as_numpy("y"), VALUES["FP32"])


def check_streams(server):
    c = connect(server)
    answers = queue.Queue()
    c.start_stream(lambda result, error: answers.put((result, error)))
    for n in range(100):
        c.async_stream_infer("double", [tensor("x", np.full((1, 4), n, np.float32), "FP32")], request_id=str(n))
    c.async_stream_infer("nothing", [], request_id="wrong")
    c.async_stream_infer("double", [tensor("x", np.zeros((1, 4), np.float32), "FP32")], request_id="last")
    for n in range(100):
        result, error = answers.get(timeout=30)
        assert error is None, error
        response = result.get_response()
        assert response.id == str(n), "answers come in the order of their requests"
        assert response.parameters["triton_final_response"].bool_param
        same(result.as_numpy("y"), np.full((1, 4), 2 * n, np.float32))
    result, error = answers.get(timeout=30)
    assert "unknown model: 'nothing'" in str(error), error
    result, error = answers.get(timeout=30)
    assert error is None and result.get_response().id == "last", "an error ends its request, not the stream"
    c.stop_stream()


def check_many_at_once(server):
    c = connect(server)
    answers = queue.Queue()
    for n in range(64):
        given = [tensor("x", np.full((1, 4), n, np.float32), "FP32")]
        c.async_infer("double", given, lambda result, error: answers.put((result, error)), request_id=str(n))
    for _ in range(64):
        result, error = answers.get(timeout=30)
        assert error is None, error
        n = int(result.get_response().id)
        same(result.as_numpy("y"), np.full((1, 4), 2 * n, np.float32))


def check_a_large_message(server):
    array = np.random.default_rng(0).random((1, 8 << 20), np.float32)
    same(connect(server).infer("identity_fp32", [tensor("x", array, "FP32")]).as_numpy("y"), array)


async def check_async(server):
    async with aio.InferenceServerClient(server.grpc) as c:
        assert await c.is_server_live() and await c.is_model_ready("colors")
        assert (await c.get_model_config("colors")).config.max_batch_size == 4
        for datatype, array in VALUES.items():
            answer = await c.infer(f"identity_{datatype.lower()}", [tensor("x", array, datatype)])
            same(answer.as_numpy("y"), array)

        async def requests():
            for n in range(10):
                given = [tensor("x", np.full((1, 4), n, np.float32), "FP32")]
                yield {"model_name": "double", "inputs": given, "request_id": str(n)}

        n = 0
        async for result, error in c.stream_infer(requests()):
            assert error is None, error
            assert result.get_response().id == str(n)
            n += 1
        assert n == 10, n
