"""The programs that measure provers answer, or say why they cannot."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from aprover import Fibonacci, prover
from aprover.proof import shape_of
from aprover.security import choose
from benchmarks.peers.__main__ import ours
from benchmarks.peers.configurations import NAMES
from benchmarks.peers.programs import Programs, Unavailable, Worker, build, version


class TestWorker:
    def test_it_makes_the_proof_that_the_arm_describes(self) -> None:
        """As long as one made here with the same parameters, and with times and memory."""
        program = Fibonacci(2**5, a=1, b=1)
        expected = prover.prove(program, choose(shape_of(program.compiled()), 100))
        with Worker(ours(5), None) as worker:
            for count in (1, 3):
                answer = worker.ask(count)
                assert answer.bytes == len(expected)
                assert answer.prove > 0
                assert answer.verify > 0
                assert 0 <= answer.waited < 1

    def test_it_says_why_its_program_ended(self) -> None:
        """An arm that cannot prove a size leaves a reason instead of a row."""
        impossible = attrs.evolve(ours(5), words=("25",))
        with Worker(impossible, None) as worker, pytest.raises(Unavailable, match="ProgramError"):
            worker.ask(1)


class TestBuilding:
    def test_without_cargo_every_peer_is_missing_for_that_reason(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The comparison then has empty rows, and runs."""
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(Unavailable, match="cargo does not run"):
            build("Winterfell")
        programs = Programs(NAMES)
        assert set(programs.missing) == set(NAMES)
        assert programs.has(ours(5))

    @pytest.mark.parametrize("peer", NAMES)
    def test_versions_are_those_that_are_locked(self, peer: str) -> None:
        """Each crate is pinned, so that a comparison can be repeated."""
        major, minor, patch = version(peer).split(".")
        assert int(major) + int(minor) + int(patch) > 0
