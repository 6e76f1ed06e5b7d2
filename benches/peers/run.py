"""Measures tintype beside its peers, in turns on one core, and writes the tables of `docs/performance.md`.

Usage: make bench-peers [ARGS='--models mobilenet_v3_small --servers tintype,fastapi-onnx --rounds 1']

Every server answers the same picture with the same weights, and is held to the answer of Pillow and ONNX Runtime. One runs at a
time, on the first core that this process may use; `tintype bench` sends from the last one. What is measured replaces what
`results.json` had of the same model and server; the tables are made of all that is there then. Any failed request, wrong answer or
dead server ends the run with exit code 1.
"""

import argparse
import base64
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import inputs
import machine
import page
from measure import LEAST_REQUESTS, WARM_UP_REQUESTS, Failed, Load, take_turn
from servers import HERE, PYTHON, Server, all_servers

RESULTS = HERE / "results.json"
CACHE = Path(os.environ.get("TINTYPE_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tintype")


def main() -> None:
    options = parsed()
    # As tintype does for itself: otherwise the library reports to its makers, in every server that loads it.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    # Ended like by Ctrl-C: whatever runs is ended first.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    servers = all_servers(options.tintype)
    chosen = {name: servers[name] for name in options.servers or servers}
    for name in [name for name, server in chosen.items() if server.missing()]:
        print(f"note: {name} is left out, as `{chosen.pop(name).needs}` is not installed", file=sys.stderr)
    folder = CACHE / "peers" / "inputs"
    inputs.main(folder, options.models)
    with tempfile.TemporaryDirectory(prefix="tintype-peers-") as scratch:
        load = load_of(options, folder, Path(scratch))
        for model in options.models:
            measured = measure_model(folder / model, chosen, load, options)
            store(lambda results, model=model, measured=measured: merge(results, model, measured))
    if options.transport and shutil.which("wrk") is None:
        print("note: the transports are left out, as `wrk` is not installed", file=sys.stderr)
    elif options.transport:
        rates = transport(options)
        store(lambda results: results.update(transport=rates))
    print(page.tables(json.loads(RESULTS.read_text())))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tintype", type=Path, required=True, help="the release binary")
    parser.add_argument("--examples", type=Path, required=True, help="the folder with the release examples `prepare` and `echo`")
    parser.add_argument("--models", type=listed, default=list(inputs.MODELS), help="separated by commas")
    parser.add_argument("--servers", type=listed, default=[], help=f"of {', '.join(all_servers(Path()))}; all by default")
    parser.add_argument("--image", type=Path, help="a JPEG, or a JSON request with one, in place of the drawn picture")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="of load in a turn")
    parser.add_argument("--concurrency", type=int, default=50)
    parser.add_argument("--no-transport", dest="transport", action="store_false",
                        help="leave out the identity model beside the echo and nginx")
    options = parser.parse_args()
    for known, given in ((inputs.MODELS, options.models), (all_servers(Path()), options.servers)):
        if unknown := set(given) - set(known):
            parser.error(f"unknown: {', '.join(sorted(unknown))}; expected of {', '.join(known)}")
    options.tintype, options.examples = options.tintype.resolve(), options.examples.resolve()
    return options


def listed(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def load_of(options: argparse.Namespace, folder: Path, scratch: Path) -> Load:
    """The load, with the picture in both of its forms."""
    source = options.image or folder / "picture.jpg"
    picture, body = scratch / "picture.jpg", scratch / "body.json"
    if source.suffix == ".json":
        body.write_bytes(source.read_bytes())
        picture.write_bytes(base64.b64decode(json.loads(source.read_text())["image"]))
    else:
        picture.write_bytes(source.read_bytes())
        body.write_text(json.dumps({"image": base64.b64encode(picture.read_bytes()).decode()}))
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("two cores are needed: one for the server and one for the load")
    return Load(options.tintype, picture, body, options.concurrency, options.seconds, cores[0], cores[-1])


def measure_model(model: Path, servers: dict[str, Server], load: Load, options: argparse.Namespace) -> dict:
    """Round after round, each server once; the floor in each as well."""
    floors, turns = [], {name: {variant: [] for variant in server.variants} for name, server in servers.items()}
    for number in range(options.rounds):
        floors.append(floor(model, load, options.examples / "prepare"))
        expected = floors[0]["label"], floors[0]["probability"]
        say(model, number, "floor", ", ".join(f"{key} {floors[-1][key]}" for key in ("prepare_ms", "run_ms", "in_process")))
        for name, server in servers.items():
            for variant in turns[name] if number == 0 else [best_of(turns[name])]:
                turn = take_turn(server, server.variants[variant], model, load, expected)
                turns[name][variant].append(turn)
                say(model, number, f"{name} {variant}", ", ".join(f"{key} {value:.4g}" for key, value in turn.items()))
    about = {"when": time.strftime("%Y-%m-%d"), "versions": machine.versions(options.tintype), "machine": machine.described(),
             "rounds": options.rounds, "seconds": options.seconds, "concurrency": options.concurrency,
             "picture_bytes": load.picture.stat().st_size, "body_bytes": load.body.stat().st_size,
             "picture": "drawn" if options.image is None else options.image.name}
    least = [least_rate(found) for found in floors]
    ours = [turn["throughput"] for turn in turns["tintype"][""]] if "tintype" in turns else None
    rows = {name: row(servers[name], turns[name], least, ours) | {"about": about} for name in servers}
    return {"floor": median_floor(floors), "floors": floors, "servers": rows, "about": about}


def best_of(variants: dict[str, list[dict]]) -> str:
    return max(variants, key=lambda variant: variants[variant][0]["throughput"])


def row(server: Server, variants: dict[str, list[dict]], floors: list[float], ours: list[float] | None) -> dict:
    """A server's medians over the rounds, of its best variant.

    `share` is its throughput over the floor's and `ratio` tintype's over its own, both of the same rounds: machines get slower and
    faster from one minute to the next.
    """
    best = best_of(variants)
    turns = variants[best]
    rates = [turn["throughput"] for turn in turns]
    shares = quotients(rates, floors)
    return {
        "title": server.title, **{key: statistics.median(turn[key] for turn in turns) for key in turns[0]},
        "share": statistics.median(shares), "shares": shares,
        "ratio": statistics.median(quotients(ours, rates)) if ours else None,
        "variant": best, "variants": {variant: turns[0]["throughput"] for variant, turns in variants.items()},
        "turns": turns,
    }


def quotients(over: list[float], under: list[float]) -> list[float]:
    """Round by round."""
    return [a / b for a, b in zip(over, under, strict=True)]


def floor(model: Path, load: Load, prepare: Path) -> dict:
    """Preparing and running, each alone on the servers' core."""
    core = ["taskset", "-c", str(load.server_core)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [*core, PYTHON, HERE / "floor.py", model, load.picture, "2"]
    found = json.loads(output_of(command, env))
    command = [*core, prepare, model / "tintype.toml", "time", load.picture, "1"]
    found["prepare_ms"] = float(output_of(command).split()[1])  # "median 2.2400 best …"
    return found | {"in_process": in_process(model, load, least_rate(found))}


def in_process(model: Path, load: Load, rate: float) -> float:
    """Requests a second of tintype's runtime without sockets and JSON, on the same core."""
    count = max(LEAST_REQUESTS, round(rate * load.seconds / 2))
    command = ["taskset", "-c", str(load.server_core), load.bench, "--log", "warn", "bench", "--in-process", model / "model.onnx",
               load.picture, "--spec", model / "tintype.toml", "--concurrency-range", str(load.concurrency),
               "--warmup-request-count", str(WARM_UP_REQUESTS), "--request-count", str(count), "--json"]
    found = json.loads(output_of(command))
    return found["levels"][0]["throughput"]


def least_rate(floor: dict) -> float:
    """One over the sum of both."""
    return 1000 / (floor["prepare_ms"] + floor["run_ms"])


def output_of(command: list, env: dict[str, str] | None = None) -> str:
    """What the command prints; its own words on stderr stay visible."""
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as child:
        try:
            printed, _ = child.communicate()
        except BaseException:
            # Not killed, as `subprocess.run` would: it has servers of its own to end.
            child.terminate()
            raise
    if child.returncode != 0:
        raise Failed(f"`{' '.join(map(str, command))}` ended with {child.returncode}:\n{printed[-2000:]}")
    return printed


def median_floor(floors: list[dict]) -> dict:
    shares = quotients([found["in_process"] for found in floors], [least_rate(found) for found in floors])
    return {"prepare_ms": statistics.median(found["prepare_ms"] for found in floors),
            "in_process_share": statistics.median(shares),
            "run_ms": statistics.median(found["run_ms"] for found in floors)}


def transport(options: argparse.Namespace) -> dict:
    """What `scripts/bench_scheduler.py` finds."""
    script = HERE.parent.parent / "scripts" / "bench_scheduler.py"
    command = [PYTHON, script, options.tintype, options.examples / "echo", "--json"]
    return json.loads(output_of(command)) | {"about": {"when": time.strftime("%Y-%m-%d"), "machine": machine.described(),
                                                "versions": machine.versions(options.tintype)}}


def merge(results: dict, model: str, measured: dict) -> None:
    """Keeps what other runs found of servers that this one left out."""
    rows = results.setdefault("models", {}).get(model, {}).get("servers", {}) | measured["servers"]
    results["models"][model] = measured | {"servers": {name: rows[name] for name in all_servers(Path()) if name in rows}}


def store(change) -> None:
    """Changes the stored results, and the page with them."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    change(results)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    page.PAGE.write_text(page.rendered(page.PAGE.read_text(), results))


def say(model: Path, number: int, what: str, text: str) -> None:
    print(f"{model.name} round {number + 1} {what.strip()}: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped")
