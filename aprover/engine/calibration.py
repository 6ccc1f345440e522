"""Fitting the cost model to this machine, and keeping it in a file, one a machine and version.

A file that cannot be read, or is of another version, is as good as none, and one that cannot be written is not missed:
nobody's proofs depend on it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import attrs

from .. import prover
from .._version import __version__
from ..air import Program
from ..backends import Control, plan_for, prepare_proof, prove_prepared
from .cost import CostModel, Work
from .families import Family, fibonacci, fibonacci_u64, poseidon2_chain
from .request import Request
from .workers import usable_cores

__all__ = [
    "BUDGET_SECONDS",
    "PROBES",
    "Point",
    "calibrate",
    "calibration_file",
    "fitted",
    "keep",
    "load",
    "measure",
    "save",
    "work_of_family",
    "work_of_program",
]

BUDGET_SECONDS = 0.16
"""How long `measure` takes by default, about: with the fit, a first use is to take under 200 ms."""
LEAST_SECONDS = 2e-3
"""A shape is timed for at least this long, so that the quick ones are timed well."""
LARGEST_FILE = 2**20
"""Bytes that are read."""
SWITCH_VARIABLE = "APROVER_CALIBRATION"
"""The environment's variable that turns `calibrate` off: ``0``, ``off`` or ``no``."""
FOLDER_VARIABLE = "APROVER_CACHE_DIR"
"""The environment's variable for the folder; by default, ``aprover`` in the user's cache folder."""


@attrs.frozen
class Point:
    """One timed shape.

    Attributes:
        family: Programs of that shape.
        work: Its features.
        seconds: The lower quartile over some proofs of it, on one core, traces in C included and traces in Python not:
            whatever disturbs a measurement makes it longer.
        repeats: How many.
    """

    family: Family
    work: Work
    seconds: float
    repeats: int


PROBES = (
    fibonacci(7),
    fibonacci(4000),
    poseidon2_chain(8),
    fibonacci_u64(7),
    fibonacci(200),
    fibonacci_u64(255),
    poseidon2_chain(128),
)
"""What tells the weights of the model apart in little time: tiny and larger traces, narrow and wide ones, made in C and
by Python. What tells most comes first. Those of other programs take longer to compile than there is time."""
FEWEST = 3
"""Of these, for a model that is fitted at first use."""


def work_of_program(program: Program, *, zk: bool = False) -> Work:
    """What the cost model has to know of a proof with the usual settings."""
    return Request(program, 100, "stark", "time", False, zk).work()


def work_of_family(family: Family) -> Work:
    """What the cost model has to know of one of these."""
    return work_of_program(family.make(0), zk=family.zk)


def measure(
    families: Iterable[Family] = PROBES,
    *,
    seconds: float = BUDGET_SECONDS,
    repeats: int = 25,
    wanted: Callable[[], bool] = lambda: True,
) -> list[Point]:
    """Times proofs on this thread.

    Each shape is made once to warm up, and is then timed at least once. What is measured is the thread's own time, in
    which others who use the machine do not count.

    Args:
        families: Of what shapes.
        seconds: How long to take, roughly. When it has passed, no further shape is begun.
        repeats: The most times that one shape is timed; each gets a fair share of the time.
        wanted: Asked before each shape; no further one is begun if it says no.

    Raises:
        AproverError: A program is wrong.
    """
    until = time.perf_counter() + seconds
    waiting = list(families)
    points: list[Point] = []
    while waiting and (left := until - time.perf_counter()) > 0 and wanted():
        points.append(_timed(waiting.pop(0), left / (len(waiting) + 1), repeats))
    return points


def _timed(family: Family, share: float, repeats: int) -> Point:
    times: list[float] = []
    until = time.perf_counter() + share
    work = work_of_family(family)
    while len(times) < 2 or (len(times) <= repeats and (time.perf_counter() < until or sum(times) < LEAST_SECONDS)):
        times.append(_seconds(family.make(len(times)), family.zk))
    timed = sorted(times[1:])
    return Point(family, work, timed[len(timed) // 4], len(timed))


def _seconds(program: Program, zk: bool) -> float:
    traced: list[float] = []
    plan = plan_for(program, security=100, prefer="time", zk=zk)
    prepared = prepare_proof(plan, program, control=Control(), traced=traced.append, clock=time.thread_time)
    begun = time.thread_time()
    (result,) = prove_prepared([prepared])
    passed = time.thread_time() - begun
    if isinstance(result, Exception):
        raise result
    return passed - sum(traced)


def fitted(points: Iterable[Point], model: CostModel | None = None) -> CostModel:
    """A model that knows these points, starting from another one's weights."""
    model = CostModel() if model is None else CostModel(model.weights)
    model.fit([(point.work, point.seconds) for point in points])
    return model


# --- first use -------------------------------------------------------------------------------------------------------

_kept: str | None = None
"""The model of this process, once there is one."""
_measuring = threading.Lock()
"""Only ever tried, never waited for."""


def calibrate(replace: Callable[[CostModel], object], wanted: Callable[[], bool]) -> None:
    """Replaces a model by the one that was kept for this machine, or by one that is measured now, and then kept.

    On a worker, before its first batch. Takes under 200 ms once for a machine and version, and else a millisecond or
    so. While one engine measures, others go on with the model that they have. Never raises.

    Args:
        replace: Called with the model, unless there is none to be had.
        wanted: Whether to go on measuring.
    """
    global _kept
    if os.environ.get(SWITCH_VARIABLE, "").lower() in ("0", "off", "no") or not _measuring.acquire(blocking=False):
        return
    try:
        model = CostModel.loads(_kept) if _kept is not None else load()
        if model is None:
            points = measure(wanted=wanted)
            if len(points) < FEWEST or not wanted():
                return
            model = fitted(points)
            save(model.dumps())
        if _kept is None:
            _kept = model.dumps()
        replace(model)
    except Exception:  # noqa: BLE001 - the shipped model will do
        return
    finally:
        _measuring.release()


def keep(text: str) -> None:
    """Keeps what an engine that was calibrated has learned since: for the next one of this process, and in the file."""
    global _kept
    _kept = text
    save(text)


def _after_fork() -> None:
    global _measuring
    _measuring = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


# --- the file --------------------------------------------------------------------------------------------------------


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def calibration_file() -> Path:
    """Where the model of this machine and version is kept: its name has both, so no other is ever read."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        home = Path("~").expanduser()
        if sys.platform == "darwin":
            base = home / "Library" / "Caches"
        elif sys.platform == "win32":
            base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
        else:
            base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
        folder = str(base / "aprover")
    machine = "\n".join([platform.machine(), _processor(), prover.instruction_set(), str(usable_cores())])
    digest = hashlib.sha256(machine.encode()).hexdigest()[:16]
    return Path(folder) / f"cost-{__version__}-{digest}.json"


def load(file: Path | None = None) -> CostModel | None:
    """What `save` wrote; None if there is nothing, or nothing of use."""
    try:
        # expanduser() raises RuntimeError where there is no home.
        path = calibration_file() if file is None else file
        with path.open("rb") as opened:
            data = opened.read(LARGEST_FILE + 1)
        return None if len(data) > LARGEST_FILE else CostModel.loads(data.decode())
    except (OSError, ValueError, RuntimeError):
        return None


def save(text: str, file: Path | None = None) -> Path | None:
    """Keeps what `CostModel.dumps` gave. Readers see the old file or the new one, never a part.

    Returns:
        The file; None if it cannot be written.
    """
    try:
        path = calibration_file() if file is None else file
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".cost-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
                opened.write(text)
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
    except (OSError, RuntimeError):
        return None
    return path
