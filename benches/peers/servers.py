"""The servers that are compared: how each is started on a port, what it is sent, and how its answer is read.

A server may have variants, for settings of which nobody knows beforehand which serves it better. All of them run in the first
round, the best one in the others.
"""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHON = sys.executable


@dataclass(frozen=True)
class Place:
    """Where one start of a server happens."""

    model: Path  # the folder with the model in every form
    port: int
    scratch: Path  # an empty folder, which is deleted afterwards


@dataclass(frozen=True)
class Start:
    """A command line and what its environment has beside the runner's own."""

    command: list[str | Path]
    env: dict[str, str]


@dataclass(frozen=True)
class Server:
    title: str
    kind: str  # what `tintype bench --service-kind` calls it
    path: str
    start: Callable[[Place, dict[str, str]], Start]
    variants: dict[str, dict[str, str]] = field(default_factory=lambda: {"": {}})
    needs: str = ""  # a program without which it cannot run

    @property
    def takes_json(self) -> bool:
        return self.kind != "torchserve"

    def missing(self) -> bool:
        return bool(self.needs) and shutil.which(self.needs) is None


def top(answer: bytes) -> tuple[str, float]:
    """The most likely class and its probability, from any server's answer."""
    found = json.loads(answer)
    if "predictions" in found:
        best = found["predictions"][0]
        return best["label"], best["confidence"]
    return max(found.items(), key=lambda item: item[1])  # TorchServe: class → probability


def tintype(binary: Path) -> Server:
    def start(place: Place, settings: dict[str, str]) -> Start:
        spec = place.model / "tintype.toml"
        ports = ["--http-port", str(place.port), "--grpc-port", "0", "--metrics-port", "0"]
        return Start([binary, "--log", "warn", "serve", place.model / "model.onnx", "--spec", spec, *ports], settings)

    return Server("tintype", "tintype", "/predict", start)


def fastapi(engine: str) -> Callable[[Place, dict[str, str]], Start]:
    def start(place: Place, settings: dict[str, str]) -> Start:
        uvicorn = [PYTHON, "-m", "uvicorn", "--app-dir", HERE, "fastapi_app:app"]
        options = ["--port", str(place.port), "--log-level", "warning", "--no-access-log"]
        return Start([*uvicorn, *options], {"MODEL_DIR": str(place.model), "ENGINE": engine, **settings})

    return start


def litserve(engine: str) -> Callable[[Place, dict[str, str]], Start]:
    def start(place: Place, settings: dict[str, str]) -> Start:
        command = [PYTHON, HERE / "litserve_app.py", str(place.port)]
        return Start(command, {"MODEL_DIR": str(place.model), "ENGINE": engine, **settings})

    return start


def torchserve(place: Place, settings: dict[str, str]) -> Start:
    model = {"defaultVersion": True, "marName": "model.mar", "minWorkers": 1, "maxWorkers": 1,
             "batchSize": int(settings["BATCH"]), "maxBatchDelay": 1, "responseTimeout": 120}
    # Left to itself it logs a dozen lines a request.
    logging = place.scratch / "log4j2.xml"
    logging.write_text("""<Configuration><Appenders><Console name="out"/></Appenders>
        <Loggers><Root level="warn"><AppenderRef ref="out"/></Root></Loggers></Configuration>""")
    config = place.scratch / "config.properties"
    config.write_text("\n".join([
        f"inference_address=http://127.0.0.1:{place.port}", "enable_grpc=false",
        # These two are never asked.
        f"management_address=http://127.0.0.1:{place.port + 1}", f"metrics_address=http://127.0.0.1:{place.port + 2}",
        f"model_store={place.model}", "load_models=model.mar", f"models={json.dumps({'model': {'1.0': model}})}",
        "number_of_netty_threads=1", "netty_client_threads=1", "default_workers_per_model=1", "job_queue_size=200",
        "disable_token_authorization=true", "disable_system_metrics=true", "install_py_dep_per_model=false",
    ]) + "\n")
    program = Path(PYTHON).with_name("torchserve")
    command = [program, "--foreground", "--ncs", "--disable-token-auth", "--ts-config", config, "--log-config", logging]
    folders = {"TEMP": place.scratch, "LOG_LOCATION": place.scratch, "METRICS_LOCATION": place.scratch}
    return Start(command, {"OMP_NUM_THREADS": "1", **{name: str(folder) for name, folder in folders.items()}})


def all_servers(binary: Path) -> dict[str, Server]:
    """Every server by the name that `--servers` takes; tintype is the one that the others are compared with."""
    threads = {"in threads": {}, "on the event loop": {"ON_THE_LOOP": "1"}}
    batches = {"no batching": {"BATCH": "1"}, "batches of at most 8": {"BATCH": "8"}}
    return {
        "tintype": tintype(binary),
        "fastapi-onnx": Server("FastAPI + onnxruntime", "litserve", "/predict", fastapi("onnx"), threads),
        "fastapi-torch": Server("FastAPI + torch", "litserve", "/predict", fastapi("torch"), threads),
        "litserve-onnx": Server("LitServe + onnxruntime", "litserve", "/predict", litserve("onnx"), batches),
        "litserve-torch": Server("LitServe + torch", "litserve", "/predict", litserve("torch"), batches),
        "torchserve": Server("TorchServe", "torchserve", "/predictions/model", torchserve, batches, needs="java"),
    }
