"""`aprover.verify`: what it asks of a proof beyond the backend's own check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import attrs
import numpy as np
import pytest

import aprover
from aprover import Fibonacci, Poseidon2Chain, Program, ProgramError, Proof, Statement, VerificationError
from aprover.air.check import fill_trace
from aprover.backends.trace import KEY, commitment
from tests.programs_for_tests import SAMPLES, TABLE_SAMPLES, Tribonacci

blake3 = pytest.importorskip("blake3")


@pytest.fixture(scope="module")
def stark() -> Proof:
    return aprover.prove_sync(Fibonacci(20))


@pytest.fixture(scope="module")
def trace() -> Proof:
    return aprover.prove_sync(Fibonacci(20), backend="trace")


@pytest.fixture(scope="module")
def own() -> Proof:
    return aprover.prove_sync(Tribonacci(20, 3))


def code(check: Callable[[], object]) -> str:
    with pytest.raises(VerificationError) as caught:
        check()
    return caught.value.code.value


def with_statement(proof: Proof, **changes: Any) -> Proof:
    return Proof(proof.backend, attrs.evolve(proof.statement, **changes), proof.body)


class TestStark:
    @pytest.mark.parametrize("program", SAMPLES + TABLE_SAMPLES, ids=lambda program: program.id)
    def test_what_was_proved_verifies_and_is_returned(self, program: Program) -> None:
        """For every program there is, from the proof and from its bytes, without private inputs."""
        proof = aprover.prove_sync(program)
        statement = program.statement()
        assert aprover.verify(proof, program=type(program)) == statement
        assert aprover.verify(proof.to_bytes(), statement, program=type(program)) == statement

    @pytest.mark.parametrize(
        "changes",
        [
            {"public_outputs": (6766,)},
            {"public_inputs": (1, 1)},
            {"parameters": (("n", 21),)},
            {"parameters": (("n", 19),)},
        ],
    )
    def test_another_statement_over_the_same_bytes_is_rejected(self, stark: Proof, changes: dict[str, Any]) -> None:
        """The proof is bound to each part of its statement; the constraints at the random point notice first."""
        assert code(lambda: aprover.verify(with_statement(stark, **changes))) == "QUOTIENT"

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"public_outputs": ()}, "STATEMENT"),
            ({"public_outputs": (6765, 0)}, "STATEMENT"),
            ({"public_outputs": (True,)}, "STATEMENT"),
            ({"public_outputs": (2013265921,)}, "STATEMENT"),
            ({"public_inputs": (0,)}, "STATEMENT"),
            ({"public_inputs": (0, -1)}, "STATEMENT"),
            ({"parameters": (("n", 0),)}, "PROGRAM"),
            ({"parameters": (("n", 2**22 + 1),)}, "PROGRAM"),
            ({"parameters": (("m", 20),)}, "PROGRAM"),
            ({"parameters": ()}, "PROGRAM"),
            ({"parameters": (("n", 20), ("n", 20))}, "PROGRAM"),
            ({"program": "fibonacci2"}, "PROGRAM"),
            ({"program": "os:system"}, "PROGRAM"),
        ],
    )
    def test_a_statement_that_does_not_fit_its_program_is_rejected(
        self, stark: Proof, changes: dict[str, Any], expected: str
    ) -> None:
        """Before any cryptography."""
        assert code(lambda: aprover.verify(with_statement(stark, **changes))) == expected

    def test_the_expected_statement_is_compared(self, stark: Proof) -> None:
        """A valid proof of something else is not what the caller meant."""
        other = Fibonacci(21).statement()
        assert code(lambda: aprover.verify(stark, other)) == "STATEMENT"
        assert aprover.verify(stark, Fibonacci(20).statement()) == Fibonacci(20).statement()

    @pytest.mark.parametrize("bits", [101, 127, 128])
    def test_less_than_the_minimum_is_rejected_with_what_was_reached(self, bits: int) -> None:
        """The bits of this proof, computed from what was checked."""
        proof = aprover.prove_sync(Fibonacci(3000), security=100)
        reached = proof.security.proven_bits
        assert 100 <= reached < 101
        with pytest.raises(aprover.SecurityError) as caught:
            aprover.verify(proof, min_security=bits)
        assert caught.value.reachable == pytest.approx(reached)

    def test_weak_parameters_need_a_weak_minimum(self) -> None:
        """A caller may ask for less than the default, and has to say so twice."""
        proof = aprover.prove_sync(Fibonacci(3000), security=50)
        assert code(lambda: aprover.verify(proof)) == "SECURITY"
        aprover.verify(proof, min_security=50)

    @pytest.mark.parametrize("bits", [0, 129, 100.0, True, None])
    def test_a_minimum_outside_its_range_is_a_program_error(self, stark: Proof, bits: Any) -> None:
        """It names the argument."""
        with pytest.raises(ProgramError) as caught:
            aprover.verify(stark, min_security=bits)
        assert caught.value.field == "min_security"

    def test_a_changed_byte_anywhere_is_rejected(self, stark: Proof) -> None:
        """Every byte of the envelope and of the proof counts."""
        data = stark.to_bytes()
        for position in range(len(data)):
            changed = bytearray(data)
            changed[position] ^= 1
            code(lambda changed=changed: aprover.verify(bytes(changed)))  # type: ignore[misc]

    def test_every_truncation_and_any_extension_is_rejected(self, stark: Proof) -> None:
        """As malformed."""
        data = stark.to_bytes()
        for end in range(len(data)):
            with pytest.raises(aprover.ProofFormatError):
                aprover.verify(data[:end])
        assert code(lambda: aprover.verify(data + b"\0")) == "TRAILING"


class TestPrograms:
    def test_one_s_own_program_has_to_be_given(self, own: Proof) -> None:
        """The constraints never come from the proof."""
        assert code(lambda: aprover.verify(own)) == "PROGRAM"
        assert aprover.verify(own, program=Tribonacci) == own.statement

    def test_another_program_is_rejected(self, stark: Proof, own: Proof) -> None:
        """The class must be that of the statement."""
        assert code(lambda: aprover.verify(stark, program=Tribonacci)) == "PROGRAM"
        assert code(lambda: aprover.verify(own, program=Fibonacci)) == "PROGRAM"

    def test_given_an_instance_its_inputs_are_compared(self, stark: Proof) -> None:
        """Passing Fibonacci(21) for a proof about Fibonacci(20) must not succeed."""
        assert aprover.verify(stark, program=Fibonacci(20)) == stark.statement
        assert code(lambda: aprover.verify(stark, program=Fibonacci(21))) == "STATEMENT"
        assert code(lambda: aprover.verify(stark, program=Fibonacci(20, a=1))) == "STATEMENT"

    def test_an_instance_s_private_inputs_do_not_matter(self, own: Proof) -> None:
        """They are not in the statement."""
        aprover.verify(own, program=Tribonacci(20, 4))

    @pytest.mark.parametrize("program", [int, "fibonacci", 3, aprover])
    def test_what_is_no_program_is_a_program_error(self, stark: Proof, program: Any) -> None:
        """It names the argument."""
        with pytest.raises(ProgramError) as caught:
            aprover.verify(stark, program=program)
        assert caught.value.field == "program"


def commitment_by_hand(program: Program) -> bytes:
    """docs/protocol.md, section 12, with the blake3 package and the program's own trace()."""
    air, statement = program.compiled(), program.statement().to_bytes()
    message = len(statement).to_bytes(8, "little") + statement
    for table, values in zip(air.tables, fill_trace(program), strict=True):
        message += table.columns.to_bytes(4, "little") + table.log_height.to_bytes(4, "little") + values.T.tobytes()
    return cast(bytes, blake3.blake3(message, key=KEY).digest())


class TestTraceBackend:
    @pytest.mark.parametrize("program", SAMPLES + TABLE_SAMPLES, ids=lambda program: program.id)
    def test_the_commitment_is_the_specified_one(self, program: Program) -> None:
        """The same by an independent BLAKE3, whether the trace was made in C or in Python."""
        assert aprover.prove_sync(program, backend="trace").body == commitment_by_hand(program)

    @pytest.mark.parametrize("program", SAMPLES + TABLE_SAMPLES, ids=lambda program: program.id)
    def test_it_verifies_with_all_inputs(self, program: Program) -> None:
        """The statement comes back, as from a STARK."""
        proof = aprover.prove_sync(program, backend="trace")
        assert aprover.verify(proof.to_bytes(), program=program) == program.statement()

    def test_without_private_inputs_the_statement_is_enough(self, trace: Proof) -> None:
        """The program is built from it."""
        assert aprover.verify(trace) == trace.statement
        chain = aprover.prove_sync(Poseidon2Chain(tuple(range(16)), 3), backend="trace")
        assert aprover.verify(chain) == chain.statement

    def test_private_inputs_have_to_be_given(self) -> None:
        """And they have to be the right ones."""
        proof = aprover.prove_sync(Tribonacci(20, 3), backend="trace")
        assert code(lambda: aprover.verify(proof, program=Tribonacci)) == "PROGRAM"
        assert aprover.verify(proof, program=Tribonacci(20, 3)) == proof.statement
        assert code(lambda: aprover.verify(proof, program=Tribonacci(20, 4))) == "STATEMENT"

    def test_another_commitment_is_rejected(self, trace: Proof) -> None:
        """Any changed bit of it."""
        for i in range(256):
            body = bytearray(trace.body)
            body[i // 8] ^= 1 << i % 8
            changed = Proof("trace", trace.statement, bytes(body))
            assert code(lambda changed=changed: aprover.verify(changed)) == "TRACE_COMMITMENT"  # type: ignore[misc]

    def test_a_false_output_is_rejected(self, trace: Proof) -> None:
        """Even with a commitment made for the false statement: the verifier computes again."""
        assert code(lambda: aprover.verify(with_statement(trace, public_outputs=(6766,)))) == "STATEMENT"

    @pytest.mark.parametrize("changes", [{"parameters": (("n", 0),)}, {"program": "other"}, {"parameters": ()}])
    def test_a_statement_that_does_not_fit_is_rejected(self, trace: Proof, changes: dict[str, Any]) -> None:
        """As for a STARK."""
        assert code(lambda: aprover.verify(with_statement(trace, **changes))) == "PROGRAM"

    def test_a_trace_that_breaks_its_constraints_verifies_nowhere(self) -> None:
        """A commitment to it can be made, but the verifier checks the constraints and not only the hash."""
        liar = Liar(8)
        with pytest.raises(aprover.ConstraintError):
            aprover.prove_sync(liar, backend="trace")
        false = Proof("trace", liar.statement(), commitment(liar, check=False))
        assert code(lambda: aprover.verify(false, program=liar)) == "TRACE_COMMITMENT"

    def test_a_stark_is_no_trace_commitment(self, stark: Proof) -> None:
        """The backend is not a matter of opinion."""
        assert code(lambda: aprover.verify(Proof("trace", stark.statement, stark.body[:32]))) == "TRACE_COMMITMENT"
        assert code(lambda: aprover.verify(Proof("stark", stark.statement, bytes(32)))) == "PARAMETERS"


class Liar(Program):
    """Claims that x stays 1, and lets it become 2 half-way."""

    n: int

    @classmethod
    def air(cls, b: aprover.AirBuilder, params: Any) -> None:
        b.rows(params.n)
        x = b.column("x")
        b.assert_equal(x.next, x, name="constant")
        b.boundary(x, 0, 1)

    def trace(self, out: np.ndarray[Any, np.dtype[np.uint32]]) -> None:
        out[:, 0] = 1
        out[self.n // 2 :, 0] = 2


class TestLiar:
    def test_a_wrong_trace_never_becomes_a_stark(self) -> None:
        """The prover's own check of its out-of-domain values fails, without saying where."""
        with pytest.raises(aprover.ProveError, match="check"):
            aprover.prove_sync(Liar(8))

    def test_with_check_the_place_is_named(self) -> None:
        """Constraint, row and both values."""
        for backend in ("stark", "trace"):
            with pytest.raises(aprover.ConstraintError) as caught:
                aprover.prove_sync(Liar(8), backend=cast(Any, backend), check=True)
            assert (caught.value.name, caught.value.row, caught.value.values) == ("constant", 3, (2, 1))

    def test_statements_are_immutable_values(self) -> None:
        """Two of the same request are one key."""
        assert len({Fibonacci(20).statement(), Fibonacci(20).statement(), Fibonacci(21).statement()}) == 2
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            cast(Any, Statement("p", (), (), ())).program = "q"
