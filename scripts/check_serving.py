#!/usr/bin/env python3
"""Tries the server where it hurts: reloads under load, overload, clients that hang up, SIGTERM.

Usage: check_serving.py TINTYPE MODEL.onnx SPEC.toml IMAGE [--only reload,golden,overload,hangup,stop] [--reloads N]
       [--models N] [--seconds S]

TINTYPE is the binary (a release build), MODEL.onnx an image classifier, SPEC.toml its `tintype.toml`, IMAGE a picture. The
server runs on the first core, the clients on the others; everything goes over loopback and stops by itself. Exit code 1 when
something does not hold. Only the standard library is needed.
"""

import argparse
import asyncio
import base64
import http.client
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

FAILURES = []


def expect(holds, what):
    print(("ok    " if holds else "WRONG ") + what, flush=True)
    if not holds:
        FAILURES.append(what)


class Server:
    """`tintype serve` over a repository with the model, under each of `names`."""

    def __init__(self, options, *flags, names=("m",)):
        self.folder = tempfile.TemporaryDirectory()
        for name in names:
            version = pathlib.Path(self.folder.name) / name / "1"
            version.mkdir(parents=True)
            shutil.copy(options.model, version / "model.onnx")
            shutil.copy(options.spec, version / "tintype.toml")
        command = [options.tintype, "serve", "--model-repository", self.folder.name, "--http-port", "0",
                   "--allow-grpc", "false", "--allow-metrics", "false", *flags]
        self.process = subprocess.Popen(
            ["taskset", "-c", str(options.core), *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline().strip()
        self.port = int(line.rsplit(":", 1)[1])

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, method, path, body=None):
        connection = self.connect()
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def stats(self):
        return json.loads(self.ask("GET", "/v2/models/m/stats")[1])["model_stats"][0]

    def metric(self, line):
        text = self.ask("GET", "/metrics")[1].decode()
        return sum(float(found.rsplit(" ", 1)[1]) for found in text.splitlines() if found.startswith(line))

    def rss_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def predict(connection, image, name="m"):
    connection.request("POST", f"/predict?model={name}", image, {"content-type": "application/octet-stream"})
    answer = connection.getresponse()
    answer.read()
    return answer.status


class Clients:
    """Threads that ask in a closed loop until told to stop; every answer's status, and failures without one."""

    def __init__(self, server, image, count, names=("m",)):
        self.statuses, self.broken, self.stopping = [], [], False
        asked = [(server, image, names[i % len(names)]) for i in range(count)]
        self.threads = [threading.Thread(target=self.run, args=one) for one in asked]
        for thread in self.threads:
            thread.start()

    def run(self, server, image, name):
        connection = server.connect()
        while not self.stopping:
            try:
                self.statuses.append(predict(connection, image, name))
            except (OSError, http.client.HTTPException) as error:
                self.broken.append(error)
                return

    def join(self):
        self.stopping = True
        for thread in self.threads:
            thread.join()


def reload(options, image):
    """Many reloads, of one model after the other, under load from 8 clients: no failed request, no growing memory."""
    names = ["m", *(f"m{i}" for i in range(1, options.models))]
    load = [word for name in names for word in ("--load-model", name)]
    server = Server(options, "--model-control-mode", "explicit", *load, names=names)
    clients = Clients(server, image, 8, names)
    loaded, rss = 0, []
    for turn in range(options.reloads):
        status, body = server.ask("POST", f"/v2/repository/models/{names[turn % len(names)]}/load", "{}")
        loaded += status == 200
        if status != 200:
            print(body)
        if turn % 10 == 9:
            rss.append(round(server.rss_mib()))
    clients.join()
    wrong = [status for status in clients.statuses if status != 200] + clients.broken
    expect(loaded == options.reloads, f"{loaded} of {options.reloads} reloads went through")
    expect(not wrong, f"{len(clients.statuses)} requests during them, {len(wrong)} failed {wrong[:3]}")
    time.sleep(2)
    print(f"      RSS every ten reloads, MiB: {rss}, after them {server.rss_mib():.0f}")
    middle = statistics.median(rss[: len(rss) // 2] or rss)
    expect(max(rss[len(rss) // 2 :]) <= 1.25 * middle + 16, "memory does not grow")
    expect(server.stop() == 0, "exit 0")


def golden(options, image):
    """A package with an image whose answer is known: one that answers otherwise does not replace what serves."""
    server = Server(options, "--model-control-mode", "explicit", "--load-model", "m")
    model = json.loads(server.ask("GET", "/v2/models/m")[1])
    picture = {"datatype": "BYTES", "shape": [1], "data": [base64.b64encode(image).decode()]}
    asked = {"inputs": [{"name": model["inputs"][0]["name"], **picture}],
             "outputs": [{"name": model["outputs"][0]["name"], "parameters": {"classification": 1}}]}
    answer = json.loads(server.ask("POST", "/v2/models/m/infer", json.dumps(asked))[1])
    confidence, best = answer["outputs"][0]["data"][0].split(":")[:2]
    confidence, best = float(confidence), int(best)
    version = pathlib.Path(server.folder.name) / "m" / "1"
    (version / "golden").write_bytes(image)
    text = (version / "tintype.toml").read_text()
    for index, probability, status in [
        (best, confidence, 200),
        (best + 1, None, 400),
        (best, confidence - 0.1, 400),
        (best, None, 200),
    ]:
        known = "" if probability is None else f"probability = {probability}\ntolerance = 0.01\n"
        (version / "tintype.toml").write_text(f'{text}\n[golden]\nimage = "golden"\nindex = {index}\n{known}')
        found, body = server.ask("POST", "/v2/repository/models/m/load", "{}")
        serves = predict(server.connect(), image) == 200
        what = f"golden class {index}, probability {probability}: loading answers {found} (expected {status})"
        expect(found == status and serves, f"{what} {body.decode() if found != 200 else ''}")
    expect(server.stop() == 0, "exit 0")


async def overload(options, image):
    """Open loop at ten times the capacity: most of the peak throughput still answered in time, the rest refused at once."""
    server = Server(options)
    head = (f"POST /predict?model=m HTTP/1.1\r\nhost: x\r\ncontent-type: application/octet-stream\r\n"
            f"x-request-timeout-ms: 1000\r\ncontent-length: {len(image)}\r\n\r\n").encode()
    idle, results = [], []

    async def one(started):
        reader = writer = None
        try:
            reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(head)
            writer.write(image)
            await writer.drain()
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().split(b"content-length:")[1].split()[0])
            await reader.readexactly(length)
            results.append((int(answer.split()[1]), time.perf_counter() - started))
            idle.append((reader, writer))
        except (OSError, asyncio.IncompleteReadError, IndexError) as error:
            results.append((0, time.perf_counter() - started))
            if writer:
                writer.close()
            if not isinstance(error, OSError):
                print(repr(error))

    async def closed(seconds, clients):
        end = time.perf_counter() + seconds

        async def client():
            while time.perf_counter() < end:
                await one(time.perf_counter())

        await asyncio.gather(*(client() for _ in range(clients)))

    await closed(3, 8)
    results.clear()
    cpu = server.cpu_seconds()
    await closed(10, 16)
    peak = sum(status == 200 for status, _ in results) / 10
    peak_of_cpu = 10 * peak / (server.cpu_seconds() - cpu)
    results.clear()
    tasks, rate, rss, cpu = set(), 10 * peak, [], server.cpu_seconds()
    began = time.perf_counter()
    while (now := time.perf_counter() - began) < options.seconds:
        while len(tasks) + len(results) < now * rate and len(tasks) < 4000:
            task = asyncio.create_task(one(time.perf_counter()))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        if len(rss) < now:
            rss.append(server.rss_mib())
        await asyncio.sleep(0.001)
    sent, cpu = len(tasks) + len(results), server.cpu_seconds() - cpu
    await asyncio.gather(*tasks)
    good = sum(status == 200 and took <= 1.0 for status, took in results) / options.seconds
    by_status = {status: sum(found == status for found, _ in results) for status in {s for s, _ in results}}
    refused = sorted(took for status, took in results if status in (429, 503, 504))
    median, p99 = (refused[int(len(refused) * q)] * 1e3 for q in (0.5, 0.99)) if refused else (0, 0)
    print(f"      peak {peak:.1f}/s, offered {sent / options.seconds:.0f}/s, answers {by_status}")
    print(f"      answers in time a second of the server's CPU: {good * options.seconds / cpu:.1f}, at the peak {peak_of_cpu:.1f}")
    expect(good >= 0.9 * peak, f"{good:.1f}/s answered within 1 s, {good / peak:.0%} of the peak")
    expect(p99 <= 10, f"refused after {median:.1f} ms in the median, {p99:.1f} ms at the 99th percentile")
    expect(max(rss) <= 1024, f"RSS at most {max(rss):.0f} MiB")
    expect(server.stop() == 0, "exit 0")


def hangup(options, image):
    """200 clients send a request and hang up: what had not begun is not computed, and is counted."""
    server = Server(options)
    for _ in range(3):
        predict(server.connect(), image)
    before = server.stats()["inference_count"], server.stats()["execution_count"]
    sockets = []
    for _ in range(200):
        connection = server.connect()
        connection.request("POST", "/predict?model=m", image, {"content-type": "application/octet-stream"})
        sockets.append(connection)
    for connection in sockets:
        connection.sock.close()
    time.sleep(3)
    after = server.stats()
    ran = after["execution_count"] - before[1]
    cancelled = server.metric('nv_inference_request_failure{model="m",version="1",reason="CANCELED"}')
    answered = after["inference_count"] - before[0]
    print(f"      of 200: {answered} answered, {cancelled:.0f} cancelled, the rest gone before they were read; {ran} runs of the model")
    left = server.metric('tintype_requests_in_flight{model="m"')
    expect(cancelled > 0 and left == 0, "who was let in and hung up is counted, and nobody is left inside")
    expect(ran <= answered + 8, "nothing was computed for who had gone, but for what was running")
    expect(predict(server.connect(), image) == 200, "the server goes on")
    expect(server.stop() == 0, "exit 0")


def stop(options, image):
    """SIGTERM under load: every request that was accepted is answered, and the process ends with 0."""
    server = Server(options)
    clients = Clients(server, image, 8)
    time.sleep(2)
    server.process.send_signal(signal.SIGTERM)
    code = server.process.wait(60)
    clients.join()
    # A client whose connection was closed between two requests has lost nothing.
    lost = [e for e in clients.broken if not isinstance(e, (ConnectionError, http.client.RemoteDisconnected))]
    expect(code == 0, f"exit {code}")
    wrong = [status for status in clients.statuses if status != 200]
    expect(not wrong and not lost, f"{len(clients.statuses)} answers, {len(wrong)} other than 200, {len(lost)} cut off {lost[:2]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tintype")
    parser.add_argument("model")
    parser.add_argument("spec")
    parser.add_argument("image")
    parser.add_argument("--only", default="reload,golden,overload,hangup,stop")
    parser.add_argument("--reloads", type=int, default=100)
    parser.add_argument("--models", type=int, default=3, help="models to reload")
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    image = pathlib.Path(options.image).read_bytes()
    cores = sorted(os.sched_getaffinity(0))
    options.core = cores[0]
    os.sched_setaffinity(0, cores[1:] or cores)
    for name in options.only.split(","):
        check = globals()[name]
        print(f"{name}: {check.__doc__}")
        result = check(options, image)
        if asyncio.iscoroutine(result):
            asyncio.run(result)
    return 1 if FAILURES else 0


if __name__ == "__main__":
    sys.exit(main())
