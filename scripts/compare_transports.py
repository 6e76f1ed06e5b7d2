#!/usr/bin/env python3
"""The same picture through every way in: /predict, KServe's JSON, binary and raw body, gRPC, shared memory.

Usage: compare_transports.py TINTYPE MODEL.onnx SPEC.toml IMAGE

Starts TINTYPE over a repository with the model, asks it for the scores in every way, and compares them with those of `/predict`;
exit code 1 when two differ by more than 1e-6. Needs `tritonclient[all]`.
"""

import base64
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request

import numpy as np
import tritonclient.grpc as grpc
import tritonclient.http as http
import tritonclient.utils.shared_memory as shm
from tritonclient.utils import serialize_byte_tensor

CONFIG = """max_batch_size: 8
input { name: "IMAGE" data_type: TYPE_STRING dims: 1 }
output { name: "SCORES" data_type: TYPE_FP32 dims: -1 }
"""
SERVING = '\n[serving.inputs]\nIMAGE = "image"\n[serving.outputs]\nSCORES = "scores"\n'


def post(url, body, headers):
    with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
        return answer.read(), answer.headers


def main():
    tintype, model, spec, image = sys.argv[1:]
    image = pathlib.Path(image).read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        version = pathlib.Path(folder) / "m" / "1"
        version.mkdir(parents=True)
        shutil.copy(model, version / "model.onnx")
        (version / "tintype.toml").write_text(pathlib.Path(spec).read_text() + SERVING)
        (version.parent / "config.pbtxt").write_text(CONFIG)
        server = subprocess.Popen(
            [tintype, "serve", "--model-repository", folder, "--http-port", "0", "--grpc-port", "0", "--allow-metrics", "false",
             "--allow-client-shm", "true"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            at = server.stdout.readline().strip().removeprefix("http://")
            grpc_at = server.stdout.readline().strip().removeprefix("grpc://")
            answers = ask(at, grpc_at, image)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
    reference = answers.pop("/predict")
    worst = 0.0
    for way, scores in answers.items():
        ranked = np.sort(scores.ravel())[::-1][: len(reference)]
        difference = float(np.abs(ranked - reference).max())
        worst = max(worst, difference)
        print(f"{way}: largest difference {difference:.1e}")
    sys.exit(worst > 1e-6)


def ask(at, grpc_at, image):
    """Every way's scores; of /predict, all of them, the best first."""
    url = f"http://{at}/v2/models/m/infer"
    answers = {}
    body, _ = post(f"http://{at}/predict?top_k=1000000", image, {"content-type": "application/octet-stream"})
    answers["/predict"] = np.array([p["confidence"] for p in json.loads(body)["predictions"]], np.float32)
    text = {"inputs": [{"name": "IMAGE", "shape": [1, 1], "datatype": "BYTES", "data": [base64.b64encode(image).decode()]}]}
    body, _ = post(url, json.dumps(text).encode(), {"content-type": "application/json"})
    answers["JSON, base64"] = np.array(json.loads(body)["outputs"][0]["data"], np.float32)
    body, headers = post(url, image, {"Inference-Header-Content-Length": "0"})
    answers["raw body"] = np.frombuffer(body[int(headers["Inference-Header-Content-Length"]):], np.float32)
    tensor = np.array([[image]], np.object_)
    for way, client, address in [("HTTP, binary", http, at), ("gRPC", grpc, grpc_at)]:
        asked = client.InferInput("IMAGE", [1, 1], "BYTES")
        asked.set_data_from_numpy(tensor)
        with client.InferenceServerClient(address) as connection:
            answers[way] = connection.infer("m", [asked]).as_numpy("SCORES")
            serialized = serialize_byte_tensor(tensor)
            data = serialized.item()
            count = answers[way].size
            place = shm.create_shared_memory_region("both", f"/tintype-{way[:4]}", len(data) + 4 * count)
            try:
                shm.set_shared_memory_region(place, [serialized])
                connection.register_system_shared_memory("both", f"/tintype-{way[:4]}", len(data) + 4 * count)
                asked = client.InferInput("IMAGE", [1, 1], "BYTES")
                asked.set_shared_memory("both", len(data))
                wanted = client.InferRequestedOutput("SCORES")
                wanted.set_shared_memory("both", 4 * count, len(data))
                connection.infer("m", [asked], outputs=[wanted])
                answers[way + ", shared memory"] = shm.get_contents_as_numpy(place, np.float32, [count], len(data)).copy()
                connection.unregister_system_shared_memory("both")
            finally:
                shm.destroy_shared_memory_region(place)
    return answers


if __name__ == "__main__":
    main()
