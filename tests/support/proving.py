"""Whole proofs of programs, for the tests of programs: made by the C core, checked by both verifiers."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeVar

import attrs
import pytest

from aprover import prover, reference
from aprover.air import Program
from aprover.errors import ProveError, VerificationCode, VerificationError
from aprover.proof import Proof, shape_of
from aprover.security import choose
from aprover.verifier import verify

AnyProgram = TypeVar("AnyProgram", bound=Program)
EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str) -> Any:
    """The module that an example is, which no package has."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def printed_by(name: str) -> list[str]:
    """The lines that an example prints as a program. A warning is an error."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def prove(program: Program) -> Proof:
    """With 100 proven bits."""
    return Proof("stark", program.statement(), prover.prove(program, choose(shape_of(program.compiled()))))


def proved_and_verified(program: Program) -> Proof:
    """A proof that both verifiers accept, of the statement that was meant, from its bytes alone."""
    proof = Proof.from_bytes(prove(program).to_bytes())
    assert verify(proof, program.statement(), program=type(program)) == program.statement()
    assert reference.verify(proof, program.statement(), program=type(program)) == program.statement()
    return proof


def assert_both_reject(proof: Proof, cls: type[Program], code: VerificationCode, **changes: Any) -> None:
    """With `changes` to its statement, both verifiers reject the proof by the check `code`."""
    forged = Proof("stark", attrs.evolve(proof.statement, **changes), proof.body).to_bytes()
    for check in (verify, reference.verify):
        with pytest.raises(VerificationError) as caught:
            check(forged, program=cls)
        assert caught.value.code == code


def lying(program: AnyProgram, **fields: Any) -> AnyProgram:
    """The same program with fields that its own checks would refuse."""
    liar = type(program).__new__(type(program))
    liar.__setstate__({**program.__getstate__(), **fields})
    return liar


def assert_unprovable(program: Program) -> None:
    """The trace that it writes breaks a constraint of its statement, and the prover notices."""
    with pytest.raises(ProveError, match="does not satisfy"):
        prove(program)
