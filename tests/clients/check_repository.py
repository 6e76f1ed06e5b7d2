"""Loading and unloading, over both protocols."""

import json
import time

import numpy as np
import tritonclient.grpc as grpc
import tritonclient.http as http
from data import http_json, refused


def states(index):
    return {entry["name"]: entry.get("state") for entry in index}


def check_http(server):
    c = http.InferenceServerClient(server.http)
    assert states(c.get_model_repository_index())["double"] == "READY"
    c.unload_model("double")
    assert not c.is_model_ready("double")
    # It is `UNLOADING` until what it accepted is answered.
    end = time.monotonic() + 30
    while (state := states(c.get_model_repository_index())["double"]) != "UNAVAILABLE":
        assert state == "UNLOADING" and time.monotonic() < end, state
        time.sleep(0.01)
    assert c.is_server_ready(), "what was unloaded on request is not missing"
    status, body = http_json(f"{server.http}/v2/models/double/versions/1/infer", {"inputs": []})
    assert (status, body["error"]) == (503, "Request for unknown model: 'double' version 1 is not at ready state"), body
    c.load_model("double")
    assert c.is_model_ready("double")
    # The preferred sizes of the old one are too large for the new one.
    config = c.get_model_config("double") | {"max_batch_size": 2}
    refused(lambda: c.load_model("double", config=json.dumps(config)), "preferred size must be <= max batch size")
    config["dynamic_batching"] = {}
    c.load_model("double", config=json.dumps(config))
    assert c.get_model_config("double")["max_batch_size"] == 2
    refused(lambda: c.load_model("nothing"), "nothing")
    refused(lambda: c.load_model("double", config="{"), "")
    assert c.is_model_ready("double"), "a bad load leaves the old one serving"
    c.load_model("double")


def check_grpc(server):
    c = grpc.InferenceServerClient(server.grpc)
    index = c.get_model_repository_index(as_json=True)["models"]
    assert states(index)["increment"] == "READY"
    c.unload_model("increment")
    assert not c.is_model_ready("increment")
    c.load_model("increment")
    assert c.is_model_ready("increment")
    with_file = {"file:1/model.onnx": server_model(server)}
    c.load_model("increment", config=json.dumps({"backend": "onnxruntime"}), files=with_file)
    given = grpc.InferInput("x", [1, 4], "FP32")
    given.set_data_from_numpy(np.ones((1, 4), np.float32))
    assert c.infer("increment", [given]).as_numpy("y").tolist() == [[2, 2, 2, 2]]
    refused(lambda: c.load_model("nothing"), "nothing")
    c.load_model("increment")


def server_model(server):
    return (server.log.parent / "repository" / "double" / "1" / "model.onnx").read_bytes()
