#!/usr/bin/env python3
"""What the scheduler and the protocol cost: an identity model over KServe's HTTP beside a bare axum echo, and nginx with a file.

Usage: bench_scheduler.py TINTYPE ECHO [--values N] [--seconds S] [--rounds R] [--concurrency C] [--json]

TINTYPE is the binary, ECHO the example `echo` of tintype-server, both release builds. The model answers FP32 tensors as they
are, at most as many in a run as there are connections; the body is its binary request, which the echo sends back, and which nginx
has as a static file, one worker and no log. `wrk` asks them in turns, from the last core; each server has the first one alone,
and the others sleep. Needs `wrk` and the Python package `onnx`; without nginx it is left out.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import onnx
from onnx import TensorProto, helper

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")


def write_identity(path):
    tensor = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "values"])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", [tensor("x")], [tensor("y")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


@contextlib.contextmanager
def running(core, command):
    """A server on one core, killed with its children at the end."""
    server = subprocess.Popen(["taskset", "-c", str(core), *map(str, command)], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, start_new_session=True)
    try:
        yield server
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def address_of(server):
    line = server.stdout.readline().strip()
    return line or sys.exit(f"{server.args[3]} ended before it listened")


def nginx_config(folder):
    """Serves `folder/body` to everyone, in the foreground; nothing is written outside of the folder."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config = folder / "nginx.conf"
    # Run by root its workers would be nobody, who may not read the folder.
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(
        f"{user} daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;"
        f"events {{ worker_connections 1024; }}"
        f"http {{ access_log off; {temporary} keepalive_requests 1000000000; open_file_cache max=10;"
        f" server {{ listen 127.0.0.1:{port}; root {folder}/public; }} }}\n")
    return config, port


def answers(port):
    for _ in range(500):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.01)
    sys.exit("nginx does not listen")


def rate_of(core, options, url, script):
    wrk = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{options.concurrency}", f"-d{options.seconds}", *script, url]
    text = subprocess.run(wrk, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        sys.exit(f"{url} refused requests:\n{text}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))


def measured(options, folder):
    """Requests a second by server, round by round; and the size of the body."""
    cores = sorted(os.sched_getaffinity(0))
    (folder / "repository" / "identity" / "1").mkdir(parents=True)
    write_identity(folder / "repository" / "identity" / "1" / "model.onnx")
    head = json.dumps({"inputs": [{"name": "x", "shape": [1, options.values], "datatype": "FP32",
                                   "parameters": {"binary_data_size": 4 * options.values}}],
                       "parameters": {"binary_data_output": True}}).encode()
    body = head + struct.pack(f"<{options.values}f", *range(options.values))
    (folder / "public").mkdir()
    (folder / "public" / "body").write_bytes(body)
    script = folder / "post.lua"
    script.write_text(
        f'local file = io.open("{folder}/public/body", "rb")\nwrk.method = "POST"\nwrk.body = file:read("*a")\n'
        f'wrk.headers["Content-Type"] = "application/octet-stream"\n'
        f'wrk.headers["Inference-Header-Content-Length"] = "{len(head)}"\n')
    post = ["-s", str(script)]
    with contextlib.ExitStack() as stack:
        start = lambda *command: stack.enter_context(running(cores[0], command))
        ours = start(options.tintype, "serve", "--model-repository", folder / "repository", "--http-port", "0", "--allow-grpc",
                     "false", "--allow-metrics", "false", "--instances", "1", "--max-batch-size", options.concurrency)
        echo = start(options.echo)
        targets = {"tintype": (address_of(ours) + "/v2/models/identity/infer", post), "echo": (address_of(echo) + "/", post)}
        if NGINX:
            config, port = nginx_config(folder)
            start(NGINX, "-e", folder / "nginx.log", "-c", config)
            answers(port)
            targets["nginx"] = (f"http://127.0.0.1:{port}/body", [])
        rates = {name: [] for name in targets}
        for _ in range(options.rounds):
            for name, target in targets.items():
                rates[name].append(rate_of(cores[-1], options, *target))
    return rates, len(body)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tintype")
    parser.add_argument("echo")
    parser.add_argument("--values", type=int, default=16)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    with tempfile.TemporaryDirectory() as folder:
        rates, body = measured(options, Path(folder))
    titles = {"tintype": "tintype, identity model over KServe's HTTP", "echo": "axum echo of the same body",
              "nginx": "nginx, a static file of that size"}
    ratio = lambda name: statistics.median(a / b for a, b in zip(rates["tintype"], rates[name], strict=True))
    servers = {name: {"title": titles[name], "rate": statistics.median(found), "rates": found, "ratio": ratio(name)}
               for name, found in rates.items()}
    if options.json:
        print(json.dumps({"servers": servers, "body_bytes": body, "concurrency": options.concurrency, "seconds": options.seconds}))
        return
    for row in servers.values():
        print(f"{row['title']}: {row['rate']:.0f} requests/s (of {[round(rate) for rate in row['rates']]}), ratio {row['ratio']:.2f}")
    print(f"body {body} bytes, concurrency {options.concurrency}")


if __name__ == "__main__":
    main()
