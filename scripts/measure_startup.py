#!/usr/bin/env python3
"""Start-up, memory and size of a server: from the start of the process to the first answer, resident memory, megabytes.

Usage: measure_startup.py TINTYPE MODEL IMAGE [--spec F.toml] [--rounds 11] [--requests 1000] [--concurrency 50]
                          [--instances N] [--cores 0] [--optimized] [--load-with TINTYPE]

IMAGE is a picture, or a JSON body with one. Each round starts `tintype serve`, asks `/predict` until the first 200, and ends it. The last one then stays for the memory:
idle a second after that answer, and the highest while `tintype bench` sends requests from another core. With --optimized
`tintype optimize` has been run before, in a cache of this script's own. --load-with names a whole build, where TINTYPE is one that
only serves. Medians; memory is `Rss` of `/proc/PID/smaps_rollup`.
"""

import argparse
import http.client
import json
import os
import pathlib
import re
import statistics
import subprocess
import tempfile
import time


def start(options, environment):
    """The server, its address, and the seconds until it listened and until it answered."""
    command = ["taskset", "-c", options.cores, options.tintype, "serve", options.model, "--http-port", "0",
               "--grpc-port", "0", "--metrics-port", "0"]
    command += ["--spec", options.spec] if options.spec else []
    command += ["--instances", str(options.instances)] if options.instances else []
    image = pathlib.Path(options.image).read_bytes()
    kind = "application/json" if options.image.endswith(".json") else "application/octet-stream"
    began = time.perf_counter()
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    address = server.stdout.readline().strip()
    listening = time.perf_counter() - began
    if not address:
        raise SystemExit(f"the server did not start: {server.stderr.read()}")
    for _ in range(1000):
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=10)
        connection.request("POST", "/predict", image, {"Content-Type": kind})
        response = connection.getresponse()
        body = response.read()
        connection.close()
        if response.status == 200:
            return server, address, listening, time.perf_counter() - began
        if response.status != 503:
            raise SystemExit(f"{response.status}: {body.decode()}")
    raise SystemExit("no answer but 503")


def resident(server):
    """MiB."""
    text = pathlib.Path(f"/proc/{server.pid}/smaps_rollup").read_text()
    return int(re.search(r"^Rss:\s+(\d+)", text, re.M).group(1)) / 1024


def under_load(server, address, options):
    """The highest resident memory in MiB while requests are under way."""
    command = [options.load_with or options.tintype, "bench", address, options.image, "--concurrency-range", str(options.concurrency),
               "--request-count", str(options.requests)]
    others = sorted(os.sched_getaffinity(0) - {int(core) for core in options.cores.split(",")})
    pinned = ["taskset", "-c", str(others[-1])] if others else []
    load = subprocess.Popen([*pinned, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    highest = 0.0
    while load.poll() is None:
        highest = max(highest, resident(server))
        time.sleep(0.02)
    if load.returncode:
        raise SystemExit(f"`{' '.join(command)}` ended with {load.returncode}")
    return highest


def megabytes(path):
    return os.path.getsize(path) / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("tintype", "model", "image"):
        parser.add_argument(name)
    parser.add_argument("--spec")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, default=50)
    parser.add_argument("--instances", type=int)
    parser.add_argument("--cores", default="0")
    parser.add_argument("--optimized", action="store_true")
    parser.add_argument("--load-with", metavar="TINTYPE")
    options = parser.parse_args()
    environment = dict(os.environ)
    with tempfile.TemporaryDirectory() as cache:
        if options.optimized:
            # The library is found as without: what is kept in the cache is this script's alone.
            found = json.loads(subprocess.run([options.tintype, "doctor", "--json"], capture_output=True, check=True).stdout)
            environment |= {"TINTYPE_ORT_LIB": found["onnxruntime"]["library"], "TINTYPE_CACHE": cache}
            subprocess.run([options.tintype, "optimize", options.model], env=environment, check=True,
                           stdout=subprocess.DEVNULL)
        times = []
        for left in reversed(range(options.rounds)):
            server, address, listening, answered = start(options, environment)
            times.append((listening, answered))
            if left:
                server.terminate()
                server.wait()
        try:
            time.sleep(1)
            idle = resident(server)
            highest = under_load(server, address, options)
        finally:
            server.terminate()
            server.wait()
    library = json.loads(subprocess.run([options.tintype, "doctor", "--json"], capture_output=True, check=True).stdout)
    library = library["onnxruntime"]["library"]
    sizes = [megabytes(path) for path in (options.tintype, library, options.model)]
    print(f"listening         {statistics.median(t[0] for t in times):7.3f} s")
    print(f"first 200         {statistics.median(t[1] for t in times):7.3f} s (of {len(times)}; {min(t[1] for t in times):.3f} to {max(t[1] for t in times):.3f})")
    print(f"RSS idle          {idle:7.1f} MiB")
    print(f"RSS under load    {highest:7.1f} MiB ({options.requests} requests, concurrency {options.concurrency})")
    print(f"binary            {sizes[0]:7.1f} MB")
    print(f"ONNX Runtime      {sizes[1]:7.1f} MB")
    print(f"model             {sizes[2]:7.1f} MB")
    print(f"together          {sum(sizes):7.1f} MB")


if __name__ == "__main__":
    main()
