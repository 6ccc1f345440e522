"""The programs that prove: built by cargo, kept alive, asked in turn."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

import attrs

from ..machine import scheduled, waited_since
from ..measuring import median
from .configurations import OURS, Arm

HERE = Path(__file__).parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", Path(tempfile.gettempdir()) / "aprover-peers-target"))
"""Where cargo builds: outside of the checkout."""

CRATES = {"Winterfell": "winterfell", "Plonky3": "p3-uni-stark", "Stwo": "stwo"}
"""The crate whose version stands for the peer's."""


class Unavailable(Exception):
    """The program cannot be built or does not run; says why."""


def version(peer: str) -> str:
    """Of the peer's main crate, as locked."""
    lock = (HERE / peer.lower() / "Cargo.lock").read_text()
    found = re.search(rf'name = "{CRATES[peer]}"\nversion = "([^"]+)"', lock)
    return found[1] if found else "unknown"


def build(peer: str) -> Path:
    """The peer's program, compiled if need be.

    Raises:
        Unavailable: No cargo, no such crate, or the compiler refuses it.
    """
    words = ["cargo", "build", "--release", "--locked", "--quiet"]
    environment = os.environ | {"CARGO_TARGET_DIR": str(TARGET)}
    try:
        done = subprocess.run(
            words, cwd=HERE / peer.lower(), env=environment, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise Unavailable(f"cargo does not run: {error.strerror}") from None
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("error")]
        raise Unavailable(errors[0] if errors else f"cargo exited with status {done.returncode}")
    return TARGET / "release" / f"peer-{peer.lower()}"


@attrs.frozen
class Answer:
    """What one request measured: medians in microseconds, bytes, MiB."""

    prove: float
    verify: float
    bytes: int
    peak_mib: float
    waited: float
    """Share of the time that the process was ready and had no core: what others on the machine took."""


class Worker:
    """One arm's process."""

    def __init__(self, arm: Arm, program: Path | None) -> None:
        self.arm = arm
        ours = [sys.executable, "-m", "benchmarks.peers.ours"]
        words = ours if program is None else [str(program)]
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the worker
        self._process = subprocess.Popen(
            [*words, *arm.words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, count: int) -> Answer:
        """Make and verify so many proofs.

        Raises:
            Unavailable: The program ended: it cannot prove this, or a proof did not verify.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        before = scheduled(self._process.pid)
        try:
            self._process.stdin.write(f"{count}\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise Unavailable(self._why())
        answer = json.loads(line)
        prove, verify = median(answer["prove"]) / 1e3, median(answer["verify"]) / 1e3
        waited = waited_since(before, self._process.pid)
        return Answer(prove, verify, answer["bytes"], answer["peak_kib"] / 1024, waited)

    def _why(self) -> str:
        status = self._process.wait()
        self._errors.seek(0)
        said = [line.strip() for line in self._errors if line.strip() and not line.startswith(("note:", "thread"))]
        return said[-1] if said else f"ended with status {status}"

    def close(self) -> None:
        """Ends the process."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()


class Programs:
    """All that could be built, and why the rest could not."""

    def __init__(self, peers: tuple[str, ...]) -> None:
        self._paths: dict[str, Path] = {}
        self.missing: dict[str, str] = {}
        for peer in peers:
            try:
                self._paths[peer] = build(peer)
            except Unavailable as error:
                self.missing[peer] = str(error)

    def has(self, arm: Arm) -> bool:
        return arm.peer == OURS or arm.peer in self._paths

    def start(self, arm: Arm) -> Worker:
        return Worker(arm, None if arm.peer == OURS else self._paths[arm.peer])
