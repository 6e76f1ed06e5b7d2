"""Asks a running `tintype serve` everything that Triton's own Python clients can ask.

Usage: run.py TINTYPE

Writes a model repository, starts the binary on ports of its own, and runs every function called `check_*` of the
modules beside this one. Prints a line for each that fails; exits with 1 when any did.
"""

import asyncio
import inspect
import re
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path

import models


@dataclass
class Server:
    http: str
    grpc: str
    metrics: str
    log: Path


def start(binary, folder):
    repository = folder / "repository"
    models.write(repository)
    log = folder / "log"
    arguments = ["--model-repository", repository, "--model-control-mode", "explicit", "--load-model", "*"]
    ports = ["--http-port", "0", "--grpc-port", "0", "--metrics-port", "0"]
    options = ["--allow-client-shm", "true", "--log-file", log, "--grpc-restricted-protocol=trace:who=me"]
    options += ["--trace-config", f"triton,file={folder / 'trace.json'}"]
    options += ["--metrics-config", "summary_latencies=true", "--metrics-config", "histogram_latencies=true"]
    process = subprocess.Popen(
        [binary, "serve", *arguments, *ports, *options], stdout=subprocess.PIPE, text=True
    )
    addresses = {}
    while len(addresses) < 3:
        line = process.stdout.readline()
        if not line:
            raise SystemExit("the server ended before it listened")
        scheme, address = re.fullmatch(r"(\w+)://(\S+)\n", line).groups()
        addresses[scheme] = address
    return process, Server(log=log, **addresses)


def run(check, server):
    result = check(server)
    if inspect.isawaitable(result):
        asyncio.run(asyncio.wait_for(result, 60))


def main(binary):
    import check_grpc
    import check_http
    import check_repository

    with tempfile.TemporaryDirectory() as folder:
        process, server = start(binary, Path(folder))
        failed = passed = 0
        try:
            # What loads and unloads comes last: the others want all models.
            for module in (check_http, check_grpc, check_repository):
                for name, check in vars(module).items():
                    if not name.startswith("check_"):
                        continue
                    try:
                        run(check, server)
                        passed += 1
                    except Exception:
                        failed += 1
                        print(f"FAILED {module.__name__}.{name}\n{traceback.format_exc()}")
            process.terminate()
            if process.wait(30) != 0:
                failed += 1
                print(f"FAILED SIGTERM: exit code {process.returncode}")
        finally:
            process.kill()
        if failed:
            print("the server's log:\n" + server.log.read_text()[-4000:])
    print(f"{passed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
