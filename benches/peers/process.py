"""A server's processes: started in a session of their own on one core, measured together, ended together."""

import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Self

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
GOODBYE_S = 10


def free_port(count: int = 1) -> int:
    """The first of `count` ports in a row that nobody listens on now."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
        try:
            for other in range(port, port + count):
                with socket.socket() as s:
                    s.bind(("127.0.0.1", other))
        except (OSError, OverflowError):
            continue
        return port


def stat_of(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on, or None when it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return None


class Processes:
    """A command and all that it starts; entered it runs, left it is gone."""

    def __init__(self, command: list, env: dict[str, str], core: int, log: Path) -> None:
        self.command, self.env, self.core, self.log = command, env, core, log

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self.root = subprocess.Popen(
                ["taskset", "-c", str(self.core), *self.command], env={**os.environ, **self.env}, cwd=self.log.parent,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        deadline = time.monotonic() + GOODBYE_S
        self.signal(signal.SIGTERM)
        while self.pids() and time.monotonic() < deadline:
            self.root.poll()
            time.sleep(0.02)
        self.signal(signal.SIGKILL)
        self.root.wait()

    def signal(self, number: int) -> None:
        for pid in self.pids():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass  # it has ended meanwhile

    def pids(self) -> list[int]:
        """Those of its session that run."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            fields = stat_of(int(pid))
            if fields and int(fields[3]) == self.root.pid and fields[0] != "Z":
                found.append(int(pid))
        return found

    def has_ended(self) -> bool:
        return self.root.poll() is not None

    def last_words(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def cpu_s(self) -> float:
        """CPU time so far, that of children that ended included."""
        stats = filter(None, map(stat_of, self.pids()))
        return sum(sum(map(int, fields[11:15])) for fields in stats) / TICK

    def rss_mib(self) -> float:
        """Resident memory now; what processes share counts for each."""
        stats = filter(None, map(stat_of, self.pids()))
        return sum(int(fields[21]) for fields in stats) * PAGE / 2**20


def busy_s(core: int) -> float:
    """Seconds since the start of the machine in which a core was not idle, or was not given to this machine by its host."""
    line = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith(f"cpu{core} "))
    user, nice, system, _idle, _wait, *interrupts_and_host = map(int, line.split()[1:9])
    return (user + nice + system + sum(interrupts_and_host)) / TICK


class PeakMemory:
    """Looks at the memory of processes now and then while it is entered."""

    def __init__(self, processes: Processes, every_s: float = 0.2) -> None:
        self.processes, self.every_s, self.mib = processes, every_s, 0.0
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self) -> None:
        while not self.done.wait(self.every_s):
            self.mib = max(self.mib, self.processes.rss_mib())

    def __enter__(self) -> Self:
        self.mib = self.processes.rss_mib()
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()
        self.mib = max(self.mib, self.processes.rss_mib())
