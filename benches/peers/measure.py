"""One turn of one server: start, first right answer, warm-up, load by `tintype bench`, end."""

import json
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

from process import PeakMemory, Processes, busy_s, free_port
from servers import Place, Server, top

READY_LIMIT_S = 120
LEAST_REQUESTS = 100
# Engines decide on kernels in their first runs, and batches come in several sizes.
WARM_UP_REQUESTS = 60
# Of a probability: engines differ in the order of their sums, and Pillow's and torchvision's tensors in the last bit.
TOLERANCE = 0.01


class Failed(Exception):
    """Something that makes the whole comparison worthless."""


@dataclass(frozen=True)
class Load:
    """What every server is put under."""

    bench: Path  # the binary whose `bench` sends
    picture: Path
    body: Path  # the same picture as base64 in JSON
    concurrency: int
    seconds: float
    server_core: int
    client_core: int


@dataclass(frozen=True)
class Turn:
    """What was seen of a server in one turn; times of requests are in milliseconds."""

    requests: int
    throughput: float
    mean: float
    p50: float
    p99: float
    cpu_ms: float  # of a request
    rss_peak_mib: float
    start_s: float
    client_cpu_percent: float
    others_percent: float  # of the time of the server's core, that others had meanwhile


def take_turn(server: Server, settings: dict[str, str], model: Path, load: Load, expected: tuple[str, float]) -> dict:
    """Measures the server once; what it answers has to be `expected`."""
    with tempfile.TemporaryDirectory(prefix="tintype-peers-") as scratch:
        place = Place(model, free_port(3), Path(scratch))
        start = server.start(place, settings)
        with Processes(start.command, start.env, load.server_core, place.scratch / "server.log") as processes:
            try:
                start_s = first_answer(server, place, load, processes, expected)
                warm = bench(server, place, load, WARM_UP_REQUESTS)
                count = max(LEAST_REQUESTS, round(warm["throughput"] * load.seconds))
                began, cpu_s, core_s = time.monotonic(), processes.cpu_s(), busy_s(load.server_core)
                with PeakMemory(processes) as memory:
                    seen = bench(server, place, load, count)
                cpu_s, core_s = processes.cpu_s() - cpu_s, busy_s(load.server_core) - core_s
                others = max(0.0, core_s - cpu_s) / (time.monotonic() - began)
            except Failed as error:
                raise Failed(f"{server.title}: {error}\n{processes.last_words()}") from error
    latency = seen["latency"]
    return asdict(Turn(
        requests=count, throughput=seen["throughput"], mean=latency["avg_us"] / 1e3, p50=percentile_ms(latency, 50),
        p99=percentile_ms(latency, 99), cpu_ms=cpu_s * 1e3 / count, rss_peak_mib=memory.mib, start_s=start_s,
        client_cpu_percent=seen["client_cpu_percent"], others_percent=100 * others))


def first_answer(server: Server, place: Place, load: Load, processes: Processes, expected: tuple[str, float]) -> float:
    """Seconds from the start of the server to its first answer, which has to be right."""
    source, kind = (load.body, "application/json") if server.takes_json else (load.picture, "application/octet-stream")
    url, body = f"http://127.0.0.1:{place.port}{server.path}", source.read_bytes()
    while True:
        try:
            request = urllib.request.Request(url, body, {"Content-Type": kind})
            with urllib.request.urlopen(request, timeout=30) as reply:
                answer = reply.read()
            break
        except OSError as error:  # not there yet, or (an HTTPError) its worker is not
            if processes.has_ended():
                raise Failed("it ended before its first answer") from error
            if time.monotonic() - processes.began > READY_LIMIT_S:
                raise Failed(f"no answer within {READY_LIMIT_S} s: {error}") from error
            time.sleep(0.01)
    taken = time.monotonic() - processes.began
    label, probability = top(answer)
    if label != expected[0] or abs(probability - expected[1]) > TOLERANCE * expected[1]:
        raise Failed(f"expected class {expected[0]} with {expected[1]:.5f}, found {label} with {probability:.5f}")
    return taken


def bench(server: Server, place: Place, load: Load, requests: int) -> dict:
    """What `tintype bench` saw of so many requests; fails when one of them failed."""
    out = place.scratch / "bench.json"
    source = load.body if server.takes_json else load.picture
    command = ["taskset", "-c", str(load.client_core), load.bench, "--log", "warn", "bench", f"http://127.0.0.1:{place.port}",
               source, "--service-kind", server.kind, *(["-m", "model"] if server.kind == "torchserve" else []),
               "--concurrency-range", str(load.concurrency), "--request-count", str(requests), "--out", out]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"tintype bench ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    [level] = json.loads(out.read_text())["levels"]
    return level


def percentile_ms(latency: dict, p: float) -> float:
    return next(entry["us"] for entry in latency["percentiles"] if entry["p"] == p) / 1e3
