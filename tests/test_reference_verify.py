"""`aprover.reference.verify`: envelopes, programs, statements and the minimum of security."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aprover import reference
from aprover.air import AirBuilder, Program
from aprover.errors import ProgramError, ProofFormatError, SecurityError, VerificationCode, VerificationError
from aprover.programs import Fibonacci, FibonacciU64
from aprover.statement import Statement, Value
from tests.support.toy_layout import Parameters
from tests.support.toy_prover import prove

STRONG = Parameters(log_blowup=3, queries=12)
"""100 bits for 2^5 rows."""
WEAK = Parameters(log_blowup=3, queries=6)


class Doubling(Program):
    """Doubles a number in each of eight rows."""

    start: int

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        x = b.column("x")
        b.rows(8)
        b.boundary(x, 0, params.start)
        b.assert_equal(x.next, 2 * x, name="double")
        b.boundary(x, 7, b.output(0))

    def trace(self, out: np.ndarray) -> None:
        out[:, 0] = [self.start << i for i in range(8)]

    def public_outputs(self) -> tuple[int, ...]:
        return (self.start << 7,)


def envelope(statement: bytes, body: bytes, *, head: bytes = b"APRV\x02\x00\x00\x00") -> bytes:
    return head + len(statement).to_bytes(4, "little") + statement + body


@lru_cache
def proof(program: Program, parameters: Parameters = STRONG) -> bytes:
    """The envelope of an honest proof by the slow prover."""
    air, statement = program.compiled(), program.statement()
    (table,) = air.tables
    trace = np.zeros((table.columns, table.height), dtype=np.uint32).T
    program.trace(trace)
    data = statement.to_bytes()
    traces = [trace.astype(np.uint64)]
    return envelope(data, prove(air.data, air.publics(statement), data, parameters.to_bytes(), traces))


def code(data: bytes, **arguments: Any) -> VerificationCode:
    with pytest.raises(VerificationError) as caught:
        reference.verify(data, **arguments)
    return caught.value.code


class TestAcceptance:
    def test_returns_the_statement(self) -> None:
        """A proof is accepted as bytes or as anything that holds them, and its statement is returned."""

        class Holder:
            statement = Fibonacci(20).statement()

            def to_bytes(self) -> bytes:
                return proof(Fibonacci(20))

        statement = reference.verify(proof(Fibonacci(20)))
        assert statement == Fibonacci(20).statement()
        assert statement.public_outputs == (6765,)
        assert reference.verify(Holder()) == statement
        assert reference.verify(proof(Fibonacci(20)), statement) == statement

    def test_a_program_of_ones_own(self) -> None:
        """A program that is not shipped is verified with its class, and unknown without."""
        data = proof(Doubling(3), Parameters(log_blowup=3, queries=8))
        assert reference.verify(data, program=Doubling).public_outputs == (384,)
        assert code(data) is VerificationCode.PROGRAM
        assert code(data, program=Fibonacci) is VerificationCode.PROGRAM


class TestStatement:
    def test_another_statement_is_refused(self) -> None:
        """A valid proof of another statement than the expected one is STATEMENT."""
        assert code(proof(Fibonacci(20)), statement=Fibonacci(21).statement()) is VerificationCode.STATEMENT

    def test_a_false_output(self) -> None:
        """A proof under a statement with another output is QUOTIENT."""
        true = Fibonacci(20).statement()
        false = Statement(true.program, true.parameters, true.public_inputs, (6766,))
        body = proof(Fibonacci(20))[12 + len(true.to_bytes()) :]
        assert code(envelope(false.to_bytes(), body)) is VerificationCode.QUOTIENT

    @pytest.mark.parametrize("outputs", [(), (6765, 0), (2013265921,), (-1,), ("6765",), (True,)])
    def test_outputs_that_do_not_fit(self, outputs: tuple[Value, ...]) -> None:
        """Outputs of another number or kind than the program's are STATEMENT."""
        true = Fibonacci(20).statement()
        false = Statement(true.program, true.parameters, true.public_inputs, outputs)
        assert code(envelope(false.to_bytes(), b"")) is VerificationCode.STATEMENT

    def test_refused_parameters(self) -> None:
        """Parameters that the program itself refuses, or does not have, are PROGRAM."""
        true = Fibonacci(20).statement()
        refused: list[tuple[tuple[str, Value], ...]] = [(("n", 0),), (("n", 2**60),), (("n", "20"),), (("m", 20),), ()]
        for parameters in refused:
            false = Statement(true.program, parameters, true.public_inputs, true.public_outputs)
            assert code(envelope(false.to_bytes(), b"")) is VerificationCode.PROGRAM


class TestSecurity:
    def test_too_few_bits(self) -> None:
        """A sound proof below the minimum is SECURITY, and says how many bits it has; a lower minimum accepts it."""
        data = proof(Fibonacci(20), WEAK)
        with pytest.raises(SecurityError) as caught:
            reference.verify(data)
        reached = caught.value.reachable
        assert reached is not None
        assert 10 < reached < 100
        assert reference.verify(data, min_security=int(reached)) == Fibonacci(20).statement()
        assert code(data, min_security=int(reached) + 1) is VerificationCode.SECURITY

    def test_a_broken_weak_proof_is_broken_first(self) -> None:
        """The bits are judged last, from what was checked."""
        assert code(proof(Fibonacci(20), WEAK) + b"\0") is VerificationCode.TRAILING

    @pytest.mark.parametrize("minimum", [0, 129, -1, True, 100.0, "100"])
    def test_minimum_out_of_range(self, minimum: Any) -> None:
        """A minimum that is no int from 1 to 128 is the caller's mistake."""
        with pytest.raises(ProgramError, match="min_security"):
            reference.verify(proof(Fibonacci(20)), min_security=minimum)

    def test_program_must_be_a_class(self) -> None:
        """So is a program that is not a Program class."""
        with pytest.raises(ProgramError, match="program"):
            reference.verify(proof(Fibonacci(20)), program=Fibonacci(20))  # type: ignore[call-overload]


class TestEnvelope:
    @pytest.mark.parametrize(
        ("at", "value", "expected"),
        [
            *[(at, value, "ENVELOPE") for at, value in [(0, 0), (3, 0), (4, 1), (4, 3), (6, 1), (7, 1), (11, 1)]],
            *[(5, 1, "BACKEND"), (5, 2, "BACKEND")],
        ],
    )
    def test_header(self, at: int, value: int, expected: str) -> None:
        """Another magic, version, reserved byte or length is ENVELOPE; another backend is BACKEND."""
        data = bytearray(proof(Fibonacci(20)))
        data[at] = value
        assert code(bytes(data)) == expected

    def test_prefixes(self) -> None:
        """Every proper prefix is a format error: of the envelope up to the statement's end, of the proof after it."""
        data = proof(Fibonacci(20))
        body = 12 + len(Fibonacci(20).statement().to_bytes())
        for length in [*range(body + 9), len(data) - 1]:
            with pytest.raises(ProofFormatError) as caught:
                reference.verify(data[:length])
            assert caught.value.code == ("ENVELOPE" if length < body else "TRUNCATED")

    @pytest.mark.parametrize("length", [8, 100])
    def test_no_column_is_extended_for_a_short_proof(self, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Preprocessed columns grow with the claimed blowup, and so are not looked at before the proof's head is."""

        def refuse(*_: object) -> dict[int, bytes]:
            raise AssertionError

        monkeypatch.setattr("aprover.reference.verifier.preprocessed_caps", refuse)
        statement = FibonacciU64(2**16).statement().to_bytes()
        body = Parameters(log_blowup=6, queries=1).to_bytes()
        assert code(envelope(statement, body.ljust(length, b"\0"))) is VerificationCode.TRUNCATED

    @settings(max_examples=60)
    @given(st.binary(max_size=200))
    def test_arbitrary_bytes(self, data: bytes) -> None:
        """Arbitrary bytes raise VerificationError and nothing else."""
        for prefix in (b"", b"APRV\x02\x00\x00\x00", b"APRV\x02\x00\x00\x00" + len(data).to_bytes(4, "little")):
            with pytest.raises(VerificationError):
                reference.verify(prefix + data)
