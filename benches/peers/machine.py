"""What the figures were made with: the machine and the versions of everything that took part."""

import os
import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGES = ("fastapi", "uvicorn", "litserve", "torchserve", "torch", "torchvision", "timm", "onnxruntime", "pillow", "numpy")


def described() -> str:
    """The processor, its cores and the memory."""
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    flags = re.search(r"flags\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    kib = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text()).group(1))
    name = cpu.group(1) if cpu else platform.machine()
    if flags and "avx512f" in flags.group(1).split():
        name += " with AVX-512"
    return f"{len(os.sched_getaffinity(0))} cores of {name}, {round(kib / 2**20)} GiB, {system()}"


def system() -> str:
    release = platform.freedesktop_os_release()
    return f"{release['PRETTY_NAME']}, Linux {platform.release().split('-')[0]}"


def versions(tintype: Path) -> dict[str, str]:
    """Versions by name."""
    found = {"tintype": first_line([tintype, "--version"]).split()[-1], "Python": platform.python_version()}
    found |= {package: metadata.version(package) for package in PACKAGES}
    if shutil.which("java"):
        found["Java"] = re.search(r'"(.+?)"', first_line(["java", "-version"])).group(1)
    # Debian keeps it where only root's PATH looks.
    if nginx := shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"):
        found["nginx"] = first_line([nginx, "-v"]).rpartition("/")[2]
    return found


def first_line(command: list) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    return done.stdout.splitlines()[0]
