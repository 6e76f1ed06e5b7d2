#!/usr/bin/env python3
"""What the scheduler and the protocol cost: an identity model over KServe's HTTP beside a bare axum echo of the same body.

Usage: bench_scheduler.py TINTYPE ECHO [--values N] [--seconds S] [--rounds R] [--concurrency C]

TINTYPE is the binary, ECHO the example `echo` of tintype-server, both release builds. The model answers FP32 tensors as they
are, at most as many in a run as there are connections; the body is its binary request. `wrk` asks both in turns, from the
second core; each server has the first one alone. Needs `wrk` and the Python package `onnx`.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import struct
import subprocess
import sys
import tempfile

import onnx
from onnx import TensorProto, helper


def write_identity(path):
    tensor = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "values"])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", [tensor("x")], [tensor("y")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def start(core, command):
    server = subprocess.Popen(["taskset", "-c", str(core), *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return server, server.stdout.readline().strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tintype")
    parser.add_argument("echo")
    parser.add_argument("--values", type=int, default=16)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--concurrency", type=int, default=32)
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        repository = pathlib.Path(folder) / "repository"
        (repository / "identity" / "1").mkdir(parents=True)
        write_identity(repository / "identity" / "1" / "model.onnx")
        head = json.dumps({"inputs": [{"name": "x", "shape": [1, options.values], "datatype": "FP32",
                                       "parameters": {"binary_data_size": 4 * options.values}}],
                           "parameters": {"binary_data_output": True}}).encode()
        body = head + struct.pack(f"<{options.values}f", *range(options.values))
        (pathlib.Path(folder) / "body").write_bytes(body)
        script = pathlib.Path(folder) / "post.lua"
        script.write_text(
            f'local file = io.open("{folder}/body", "rb")\nwrk.method = "POST"\nwrk.body = file:read("*a")\n'
            f'wrk.headers["Content-Type"] = "application/octet-stream"\n'
            f'wrk.headers["Inference-Header-Content-Length"] = "{len(head)}"\n')
        ours, address = start(cores[0], [options.tintype, "serve", "--model-repository", str(repository), "--http-port", "0",
                                         "--allow-grpc", "false", "--allow-metrics", "false", "--instances", "1",
                                         "--max-batch-size", str(options.concurrency)])
        echo, echo_address = start(cores[0], [options.echo])
        targets = {"tintype": address + "/v2/models/identity/infer", "echo": echo_address + "/"}
        rates = {name: [] for name in targets}
        try:
            for _ in range(options.rounds):
                for name, url in targets.items():
                    wrk = ["taskset", "-c", str(cores[-1]), "wrk", "-t1", f"-c{options.concurrency}",
                           f"-d{options.seconds}", "-s", str(script), url]
                    text = subprocess.run(wrk, capture_output=True, text=True, check=True).stdout
                    if "Non-2xx" in text:
                        sys.exit(f"{name} refused requests:\n{text}")
                    rates[name].append(float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)))
        finally:
            ours.kill()
            echo.kill()
    for name, found in rates.items():
        print(f"{name}: {statistics.median(found):.0f} requests/s (of {[round(rate) for rate in found]})")
    ratio = statistics.median(a / b for a, b in zip(rates["tintype"], rates["echo"]))
    print(f"ratio {ratio:.2f}, body {len(body)} bytes, concurrency {options.concurrency}")


if __name__ == "__main__":
    main()
