"""One-core throughput of `POST /predict`: tintype beside FastAPI + Pillow + onnxruntime, interleaved in one run.

Usage: bench_predict.py --tintype BIN --python PYTHON --model M.onnx --spec S.toml --payload BODY.json
                        [--requests 2000] [--concurrency 50] [--rounds 3]

Both servers run pinned to core 0, `ab` on core 1, one server at a time, A B A B. PYTHON must have fastapi,
uvicorn[standard], onnxruntime, pillow and numpy. Prints each round and the medians.
"""

import argparse
import contextlib
import os
import re
import socket
import statistics
import subprocess
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid, key):
    return int(re.search(rf"{key}:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1)) / 1024


@contextlib.contextmanager
def server(command, port, env=None):
    process = subprocess.Popen(["taskset", "-c", "0", *command], env={**os.environ, **(env or {})},
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                break
            if process.poll() is not None:
                raise SystemExit(f"{command[0]} ended with {process.returncode}")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(30)


def ab(args, url, requests):
    out = subprocess.run(["taskset", "-c", "1", "ab", "-q", "-n", str(requests), "-c", str(args.concurrency), "-s", "120",
                          "-p", args.payload, "-T", "application/json", url], capture_output=True, text=True, check=True).stdout
    find = lambda pattern: float(re.search(pattern, out).group(1))
    # A "Length" failure is only an answer of another length than the first one's; anything else is a failure.
    assert int(find(r"Complete requests:\s+(\d+)")) == requests, out
    assert "Non-2xx" not in out, out
    return {"req_s": find(r"Requests per second:\s+([\d.]+)"), "p50": find(r"50%\s+(\d+)"), "p99": find(r"99%\s+(\d+)")}


def main():
    p = argparse.ArgumentParser()
    for name in ("tintype", "python", "model", "spec", "payload"):
        p.add_argument(f"--{name}", required=True)
    p.add_argument("--requests", type=int, default=2000)
    p.add_argument("--concurrency", type=int, default=50)
    p.add_argument("--rounds", type=int, default=3)
    args = p.parse_args()
    ports = {"tintype": free_port(), "fastapi": free_port()}
    commands = {
        "tintype": [args.tintype, "serve", args.model, "--spec", args.spec, "--http-port", str(ports["tintype"])],
        "fastapi": [args.python, "-m", "uvicorn", "--app-dir", f"{HERE}/../benches/peers", "fastapi_onnx:app",
                    "--port", str(ports["fastapi"]), "--log-level", "warning"],
    }
    env = {"MODEL": args.model, "SPEC": args.spec}
    body = open(args.payload, "rb").read()
    results = {"tintype": [], "fastapi": []}
    for _ in range(args.rounds):
        for name in results:
            with server(commands[name], ports[name], env) as process:
                url = f"http://127.0.0.1:{ports[name]}/predict"
                request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
                answer = urllib.request.urlopen(request).read()
                idle = memory_mib(process.pid, "VmRSS")
                ab(args, url, 100)
                before = cpu_seconds(process.pid)
                result = ab(args, url, args.requests)
                result["cpu_ms"] = (cpu_seconds(process.pid) - before) * 1e3 / args.requests
                result |= {"rss_idle": idle, "rss_peak": memory_mib(process.pid, "VmHWM")}
                results[name].append(result)
                print(name, {k: round(v, 2) for k, v in result.items()}, answer[:70], flush=True)
    median = {name: {k: statistics.median(r[k] for r in rows) for k in rows[0]} for name, rows in results.items()}
    for name, row in median.items():
        print(f"median {name:8}", {k: round(v, 2) for k, v in row.items()})
    print(f"ratio {median['tintype']['req_s'] / median['fastapi']['req_s']:.2f}")


main()
