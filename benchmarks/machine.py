"""What a reader must know of the machine that figures come from."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path

from aprover import prover

RESULTS = Path(__file__).parent / "results"
"""Where the figures of the last runs are, as JSON."""


MOST_WAITED = 0.05
"""If a process waited more than this share for a core, its figures are those of a busy machine."""


def first_line(*words: str) -> str:
    """What a command says of itself, or "none"."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "none"
    return (done.stdout.splitlines() or ["none"])[0]


def processor() -> str:
    """The model, as the kernel names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def scheduled(process: int | str = "self") -> tuple[int, int]:
    """Nanoseconds that a process ran, and that it was ready but had no core; 0 where the kernel does not say."""
    try:
        ran, waited = Path(f"/proc/{process}/schedstat").read_text().split()[:2]
    except OSError:
        return 0, 0
    return int(ran), int(waited)


def waited_since(before: tuple[int, int], process: int | str = "self") -> float:
    """Share of the time since `before` that others on the machine took from a process."""
    ran, waited = (now - then for now, then in zip(scheduled(process), before, strict=True))
    return waited / max(1, ran + waited)


def machine() -> dict[str, object]:
    """Processor, cores, versions, load at this moment, date and revision."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "instruction_set": prover.instruction_set(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "compiler": first_line("cc", "--version"),
        "load": round(os.getloadavg()[0], 2),
        "date": time.strftime("%Y-%m-%d"),
        "revision": first_line("git", "rev-parse", "--short", "HEAD"),
    }
