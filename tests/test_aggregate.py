"""One proof of many statements: what it takes, what it says, and what becomes of its bytes."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from typer.testing import CliRunner

import aprover
from aprover import (
    AggregateMember,
    AggregateProof,
    Fibonacci,
    Poseidon2Chain,
    Program,
    ProgramError,
    Proof,
    ProveError,
    SecurityError,
    Sha256,
    Statement,
    VerificationError,
)
from aprover.aggregate import ClaimGroup, encode_claims
from aprover.air.stacking import Stack, copies, fits, most_runs, refusal, stack
from aprover.backends import Control, ProvingCancelled, prepare_aggregate
from aprover.backends.aggregating import BYTES, aggregate_layout
from aprover.cli.app import app
from aprover.proof import shape_of
from tests.programs_for_tests import SAMPLES, TABLE_SAMPLES, Tribonacci


class Affine(Program):
    """x' = a x + 1, where every row reads the public a; proves the last x."""

    a: int = aprover.public(default=2)
    x: int = aprover.public(default=1)

    @classmethod
    def air(cls, b: aprover.AirBuilder, params: Any) -> None:  # noqa: ARG003
        b.rows(8)
        x = b.column("x")
        b.assert_equal(x.next, x * b.public("a") + 1)
        b.boundary(x, 0, b.public("x"))
        b.boundary(x, 7, b.output(0))

    def _values(self) -> list[int]:
        values = [self.x]
        while len(values) < 8:
            values.append((values[-1] * self.a + 1) % 2013265921)
        return values

    def trace(self, out: NDArray[np.uint32]) -> None:
        out[:, 0] = self._values()

    def public_outputs(self) -> tuple[int, ...]:
        return (self._values()[-1],)


class Even(Program):
    """A public value that its validator wants to be even."""

    x: int = aprover.public(validator=lambda _self, _field, value: _even(value))

    @classmethod
    def air(cls, b: aprover.AirBuilder, params: Any) -> None:  # noqa: ARG003
        b.rows(8)
        x = b.column("x")
        b.assert_equal(x.next, x)
        b.boundary(x, 0, b.public("x"))

    def trace(self, out: NDArray[np.uint32]) -> None:
        out[:, 0] = self.x


def _even(value: int) -> None:
    if value % 2:
        raise ValueError("an even int")


TABLES = TABLE_SAMPLES[0]
OWN = (Tribonacci, Affine, Even)
MIXED: list[Program] = [
    Fibonacci(20, 3, 4),
    Tribonacci(20, 5),
    Fibonacci(20),
    Sha256(b"a"),
    Fibonacci(300),
    Affine(5, 6),
    Tribonacci(20, 6),
    Sha256(b"bc"),
    Affine(7, 8),
    Poseidon2Chain(tuple(range(16)), 9),
    Affine(9, 1),
    Even(4),
]


def statements(programs: Sequence[Program]) -> tuple[Statement, ...]:
    return tuple([program.statement() for program in programs])


def make(programs: Sequence[Program], **changes: Any) -> AggregateProof:
    made: AggregateProof = aprover.prove_batch_sync(programs, **({"aggregate": True} | changes))
    return made


@pytest.fixture(scope="module")
def mixed() -> AggregateProof:
    return make(MIXED)


@pytest.fixture(scope="module")
def alike() -> AggregateProof:
    return make([Fibonacci(20, i, 1) for i in range(5)])


def both(proof: AggregateProof | AggregateMember, program: Any = None) -> object:
    """What both verifiers return; they have to agree."""
    found = [aprover.verify(proof, program=program), aprover.reference.verify(proof, program=program)]
    assert found[0] == found[1]
    return found[0]


def codes(proof: AggregateProof, program: Any = None, **changes: Any) -> str:
    """The code with which both verifiers reject it."""
    found = []
    for verify in (aprover.verify, aprover.reference.verify):
        with pytest.raises(VerificationError) as caught:
            verify(proof, program=program, **changes)
        found.append(str(caught.value.code))
    assert found[0] == found[1]
    return found[0]


class TestStatements:
    def test_an_aggregate_proves_all_its_statements_in_order(self, mixed: AggregateProof) -> None:
        """Of different programs, parameters and inputs, some with traces in C and some in Python."""
        assert both(mixed, OWN) == mixed.statements == statements(MIXED)
        assert mixed.count == len(MIXED)

    @pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 33])
    def test_any_number_of_statements_will_do(self, count: int) -> None:
        """Also where some runs stay empty."""
        programs = [Fibonacci(20, i, count) for i in range(count)]
        assert both(make(programs)) == statements(programs)

    def test_the_same_statement_may_occur_again(self) -> None:
        """Each occurrence has a place of its own."""
        programs = [Fibonacci(20), Fibonacci(21), Fibonacci(20)]
        assert both(make(programs)) == statements(programs)

    def test_the_same_request_gives_the_same_bytes(self, alike: AggregateProof) -> None:
        """As of any proof; the outputs are found in C, and are those of public_outputs()."""
        programs = [Fibonacci(20, i, 1) for i in range(5)]
        again = prepare_aggregate(programs, security=100, prefer="time").prove(Control())
        assert again == alike
        assert hash(again) == hash(alike)
        assert again.to_bytes() == alike.to_bytes()

    def test_private_inputs_are_hidden_if_asked_for(self) -> None:
        """With zk=True the one proof is masked, and no two are alike."""
        programs = [Tribonacci(20, i) for i in range(3)]
        proofs = [make(programs, zk=True, cache=False) for _ in range(2)]
        assert all(proof.parameters.zk for proof in proofs)
        assert proofs[0] != proofs[1]
        assert both(proofs[0], Tribonacci) == statements(programs)

    def test_statements_without_public_values_aggregate_too(self) -> None:
        """There is nothing to bind but their number."""

        class Counter(Program):
            @classmethod
            def air(cls, b: aprover.AirBuilder, params: Any) -> None:  # noqa: ARG003
                b.rows(8)
                x = b.column("x")
                b.assert_equal(x.next, x + 1)

            def trace(self, out: NDArray[np.uint32]) -> None:
                out[:, 0] = np.arange(8)

        assert both(make([Counter(), Counter(), Counter()]), Counter) == statements([Counter()] * 3)


class TestSecurity:
    def test_the_report_is_about_the_whole(self, mixed: AggregateProof, alike: AggregateProof) -> None:
        """Rows, columns and openings of all statements count; at least the bits that were asked for are there."""
        for proof in (mixed, alike):
            assert proof.security.proven_bits >= 100
            assert proof.security == proof.security_for(OWN)
        twin = AggregateProof.from_bytes(alike.to_bytes())
        assert twin.security == alike.security
        with pytest.raises(VerificationError) as caught:
            _ = AggregateProof.from_bytes(mixed.to_bytes()).security
        assert caught.value.code == "PROGRAM"

    def test_too_few_bits_are_rejected(self) -> None:
        """By both verifiers, whatever the checks say."""
        weak = make([Fibonacci(20, i, 1) for i in range(64)], security=40)
        assert codes(weak) == "SECURITY"
        assert aprover.verify(weak, min_security=40) == weak.statements
        with pytest.raises(SecurityError):
            aprover.verify(weak)

    @given(st.integers(1, 300), st.integers(0, 9), st.sampled_from([8, 20, 100]))
    @settings(max_examples=40)
    def test_the_shape_that_is_chosen_by_is_the_shape_that_is_proved(self, count: int, log: int, n: int) -> None:
        """The layout is chosen without building the AIR; so it has to know what will be built."""
        air = Fibonacci(n).compiled()
        one = Stack(air, count, min(log, most_runs(air, count)))
        if not fits((one,)):
            return
        from aprover.backends.aggregating import _table_shape

        (shape,) = shape_of(stack((one,))).tables
        assert _table_shape(one) == shape
        assert copies(count, one.log_slots) << one.log_slots >= count

    def test_every_shipped_program_has_aggregates_but_those_with_lookups(self) -> None:
        """Small instances of all that need no lookups."""
        programs: list[Program] = [*SAMPLES, aprover.FibonacciU64(20)]
        assert [program for program in programs if refusal(program.compiled()) is not None] == []
        assert refusal(aprover.Transfers((5, 5), ((0, 1, 2),), tuple(range(7))).compiled()) == "several tables"

    @pytest.mark.parametrize("count", [16, 256])
    def test_the_layout_keeps_to_the_bytes(self, count: int) -> None:
        """With prefer="time" the fastest one of at most so many bytes; with prefer="size" a smaller one yet."""
        members = ((Fibonacci(20).compiled(), count),)
        quick, small = (aggregate_layout(members, 100, prefer, False) for prefer in ("time", "size"))
        assert quick.time <= small.time
        programs = [Fibonacci(20, i) for i in range(count)]
        fast, tiny = make(programs), make(programs, prefer="size")
        assert len(tiny) <= len(fast) <= BYTES
        assert both(tiny) == both(fast) == statements(programs)


class TestLimits:
    def test_what_cannot_be_aggregated_is_refused(self) -> None:
        """With the reason; nothing else is tried instead."""
        with pytest.raises(ProgramError, match="several tables"):
            make([Fibonacci(20), TABLES])
        with pytest.raises(ProgramError, match="program"):
            make([Fibonacci(20), Fibonacci])  # type: ignore[list-item]

    def test_a_public_value_that_is_read_on_every_row_keeps_statements_side_by_side(self) -> None:
        """It is one value for the whole column, so they do not share columns."""
        assert most_runs(Affine().compiled(), 100) == 0
        assert most_runs(Fibonacci(20).compiled(), 100) == 7
        with pytest.raises(ProgramError, match="do not fill"):
            stack((Stack(Affine().compiled(), 4, 1),))

    def test_numbers_have_limits(self) -> None:
        """None, more than 64 shapes, more public values than an AIR can have: each is said."""
        with pytest.raises(ProgramError, match="programs"):
            make([])
        with pytest.raises(ProgramError, match="at most 64"):
            make([Fibonacci(n) for n in range(1, 66)])
        with pytest.raises(ProgramError, match="more than an aggregate"):
            make([Fibonacci(20)] * 30_000)

    @pytest.mark.parametrize(
        "changes",
        [
            {"backend": "trace"},
            {"return_exceptions": True},
            {"security": 0},
            {"zk": 1},
            {"prefer": "fun"},
            {"aggregate": "auto"},
        ],
    )
    def test_settings_are_checked(self, changes: dict[str, Any]) -> None:
        """An aggregate is a STARK proof, and either there or not."""
        with pytest.raises(ProgramError):
            make([Fibonacci(20)], **changes)

    def test_one_false_trace_fails_the_whole(self) -> None:
        """It is a failure of the aggregate, raised as it is; with check=True it says where."""

        class Broken(Tribonacci):
            def trace(self, out: NDArray[np.uint32]) -> None:
                super().trace(out)
                out[9, 0] += 1

        programs = [Tribonacci(20), Broken(20), Tribonacci(20, 2)]
        with pytest.raises(ProveError):
            make(programs)
        with pytest.raises(aprover.ConstraintError):
            make(programs, check=True)

    def test_a_limit_of_memory_is_kept_or_refused(self) -> None:
        """As for any proof: the bytes are the same, or it says how much is needed."""
        programs = [Fibonacci(300, i) for i in range(64)]
        free = make(programs, cache=False)
        with pytest.raises(ProgramError, match="memory_limit") as caught:
            make(programs, memory_limit=2**16)
        needed = int(re.findall(r"at least the (\d+) bytes", str(caught.value))[0])
        assert make(programs, memory_limit=needed, cache=False) == free

    def test_a_cancelled_aggregate_stops(self) -> None:
        """At the next look at the flag."""
        control = Control()
        control.cancel()
        with pytest.raises(ProvingCancelled):
            prepare_aggregate([Fibonacci(20)] * 3, security=100, prefer="time").prove(control)


class TestVerifier:
    def test_expected_statements_are_compared(self, alike: AggregateProof) -> None:
        """All of them, in order."""
        expected = alike.statements
        assert aprover.verify(alike, expected) == expected
        assert codes(alike, statement=expected[::-1]) == "STATEMENT"
        assert codes(alike, statement=expected[:-1]) == "STATEMENT"

    def test_programs_of_ones_own_are_named(self, mixed: AggregateProof) -> None:
        """By a class or a tuple; a class that is missing is a rejection, one that is none is a mistake."""
        assert codes(mixed) == "PROGRAM"
        assert codes(mixed, Tribonacci) == "PROGRAM"
        with pytest.raises(ProgramError):
            aprover.verify(mixed, program=(Tribonacci, 3))  # type: ignore[arg-type]
        with pytest.raises(ProgramError):
            aprover.reference.verify(mixed, program=(Tribonacci, 3))  # type: ignore[arg-type]

    def test_every_statement_is_judged_by_its_program(self) -> None:
        """Not only the first: a value that the program refuses is a rejection."""
        proof = make([Even(2), Even(4), Even(6)])
        assert both(proof, Even) == statements([Even(2), Even(4), Even(6)])
        altered = np.array(proof.public_values)
        altered[2] = 7
        assert codes(AggregateProof(proof.claims, altered.tobytes(), proof.body), Even) == "STATEMENT"

    def test_any_other_public_value_is_rejected(self, alike: AggregateProof) -> None:
        """Each alone; and two statements in each other's place."""
        values = alike.public_values
        for i in range(0, len(values), 4):
            altered = np.array(values)
            altered[i] ^= 1
            assert codes(AggregateProof(alike.claims, altered.tobytes(), alike.body)) == "QUOTIENT"
        swapped = np.array(values).reshape(5, 3)[[1, 0, 2, 3, 4]]
        assert codes(AggregateProof(alike.claims, swapped.tobytes(), alike.body)) == "QUOTIENT"

    def test_another_order_is_rejected(self, mixed: AggregateProof) -> None:
        """It is absorbed, although no constraint knows it."""
        groups, order = mixed.groups, list(mixed.claims[-mixed.count :])
        order[5], order[6] = order[6], order[5]
        groups = tuple([groups[i] for i in dict.fromkeys(order)]) if order != sorted(order) else groups
        other = AggregateProof(encode_claims(mixed.groups, order), mixed.publics, mixed.body)
        try:
            assert other.statements != mixed.statements
            assert codes(other, OWN) == "QUOTIENT"
        except VerificationError as error:
            assert error.code == "ENVELOPE"

    def test_another_count_or_layout_is_rejected(self, alike: AggregateProof) -> None:
        """One statement fewer or more, or other runs."""
        (one,) = alike.groups
        for count, log_slots in ((4, one.log_slots), (5, one.log_slots ^ 1)):
            claims = encode_claims(
                [ClaimGroup(one.program, one.parameters, one.inputs, one.outputs, count, log_slots)], ()
            )
            assert codes(AggregateProof(claims, alike.publics[: 12 * count], alike.body)) is not None

    @pytest.mark.parametrize(
        "form",
        [{"inputs": (None,), "outputs": 2}, {"inputs": (2,), "outputs": 1}, {"inputs": (None, None, 0), "outputs": 1}],
    )
    def test_the_form_of_the_public_values_is_the_programs(self, alike: AggregateProof, form: dict[str, Any]) -> None:
        """Statements are read from the public values by it, so it must not come from the proof alone."""
        (one,) = alike.groups
        claims = encode_claims([ClaimGroup(one.program, one.parameters, **form, count=5, log_slots=one.log_slots)], ())
        assert codes(AggregateProof(claims, alike.publics, alike.body)) in ("STATEMENT", "PROGRAM")

    def test_a_form_of_as_many_values_is_refused_too(self) -> None:
        """An element of an input is no output."""

        class Pair(Program):
            x: tuple[int, ...] = aprover.public()

            @classmethod
            def air(cls, b: aprover.AirBuilder, params: Any) -> None:  # noqa: ARG003
                b.rows(8)
                x = b.column("x")
                b.assert_equal(x.next, x)
                b.boundary(x, 0, b.public("x", 0))
                b.boundary(x, 1, b.public("x", 1))
                b.boundary(x, 2, b.output(0))

            def trace(self, out: NDArray[np.uint32]) -> None:
                out[:, 0] = self.x[0]

            def public_outputs(self) -> tuple[int, ...]:
                return (self.x[0],)

        programs = [Pair((3, 3)), Pair((4, 4))]
        proof = make(programs)
        assert both(proof, Pair) == statements(programs)
        (one,) = proof.groups
        assert (one.inputs, one.outputs) == ((2,), 1)
        claims = encode_claims([ClaimGroup(one.program, one.parameters, (1,), 2, 2, one.log_slots)], ())
        assert codes(AggregateProof(claims, proof.publics, proof.body), Pair) == "STATEMENT"

    def test_public_values_that_are_read_have_one_run(self) -> None:
        """Whatever the claims say."""
        proof = make([Affine(2, 3), Affine(4, 5)])
        (one,) = proof.groups
        assert one.log_slots == 0
        claims = encode_claims([ClaimGroup(one.program, one.parameters, one.inputs, one.outputs, 2, 1)], ())
        assert codes(AggregateProof(claims, proof.publics, proof.body), Affine) == "STATEMENT"


class TestBytes:
    def test_bytes_give_back_the_aggregate(self, mixed: AggregateProof) -> None:
        """So do pickles; length and digest are those of the bytes."""
        for twin in (AggregateProof.from_bytes(mixed.to_bytes()), pickle.loads(pickle.dumps(mixed))):
            assert twin == mixed
            assert hash(twin) == hash(mixed)
            assert twin.statements == mixed.statements
        assert len(mixed) == len(mixed.to_bytes())
        assert mixed.digest == AggregateProof.from_bytes(mixed.to_bytes()).digest
        assert bool(mixed)
        assert mixed != 1

    def test_the_bytes_are_the_specified_ones(self, alike: AggregateProof) -> None:
        """docs/protocol.md, section 14, written out by hand."""
        (one,) = alike.groups
        value = b"\x05\x09\0\0\0fibonacci" + b"\x06\1\0\0\0\x06\2\0\0\0\x05\1\0\0\0n" + b"\3\0\1\0\x14"
        form = b"\x06\2\0\0\0\0\0" + b"\3\0\1\0\1"
        claims = b"\7\1" + value + form + (5).to_bytes(4, "little") + bytes((one.log_slots,))
        head = b"APRV\2\2\0\0" + len(claims).to_bytes(4, "little")
        publics = b"".join(
            value.to_bytes(4, "little")
            for statement in alike.statements
            for value in (*statement.public_inputs, *statement.public_outputs)
            if isinstance(value, int)
        )
        assert alike.to_bytes() == head + claims + publics + alike.body

    def test_every_cut_and_every_tail_is_rejected(self, alike: AggregateProof) -> None:
        """As malformed, or by the check that misses the bytes."""
        data = alike.to_bytes()
        for end in [*range(0, 160, 7), len(data) - 1]:
            with pytest.raises(VerificationError):
                aprover.verify(AggregateProof.from_bytes(data[:end]))
        assert codes(AggregateProof.from_bytes(data + b"\0")) == "TRAILING"

    @pytest.mark.parametrize(
        "alter",
        [
            lambda claims: b"\6" + claims[1:],
            lambda claims: claims[:1] + b"\0" + claims[2:],
            lambda claims: claims[:1] + b"\2" + claims[2:],
            lambda claims: claims[:1] + b"\x41" + claims[2:],
            lambda claims: claims[:-5] + b"\0\0\0\0\0",
            lambda claims: claims[:-5] + b"\xff\xff\xff\xff\0",
            lambda claims: claims[:-1] + b"\4",
            lambda claims: claims + b"\0",
            lambda claims: claims[:1] + b"\2" + claims[2:] + claims[2:] + bytes([0] * 5 + [1] * 5),
        ],
    )
    def test_malformed_claims_are_refused(self, alike: AggregateProof, alter: Callable[[bytes], bytes]) -> None:
        """By both verifiers, with the code of the envelope."""
        altered = AggregateProof(alter(alike.claims), alike.publics, alike.body)
        with pytest.raises(VerificationError) as caught:
            AggregateProof.from_bytes(altered.to_bytes())
        assert caught.value.code == "ENVELOPE"
        with pytest.raises(VerificationError) as caught:
            aprover.reference.verify(altered)
        assert caught.value.code == "ENVELOPE"

    def test_a_public_value_is_canonical(self, alike: AggregateProof) -> None:
        """p stands for nothing."""
        data = AggregateProof(alike.claims, (2013265921).to_bytes(4, "little") + alike.publics[4:], alike.body)
        with pytest.raises(VerificationError) as caught:
            AggregateProof.from_bytes(data.to_bytes())
        assert caught.value.code == "NON_CANONICAL"
        with pytest.raises(VerificationError) as caught:
            aprover.reference.verify(data)
        assert caught.value.code == "NON_CANONICAL"

    @pytest.mark.parametrize("alter", [lambda _: b"", lambda publics: publics[:-1], lambda publics: publics + bytes(4)])
    def test_there_are_as_many_public_values_as_claimed(
        self, alike: AggregateProof, alter: Callable[[bytes], bytes]
    ) -> None:
        """An aggregate that never went through `from_bytes` is refused as well."""
        with pytest.raises(VerificationError) as caught:
            aprover.verify(AggregateProof(alike.claims, alter(alike.publics), alike.body))
        assert caught.value.code == "ENVELOPE"

    def test_orders_are_checked(self, mixed: AggregateProof) -> None:
        """Groups are numbered by their first statements, and have as many as they say."""
        order = mixed.claims[-mixed.count :]
        base = mixed.claims[: -mixed.count]
        assert mixed.groups[0].count == mixed.groups[1].count == 2
        assert order[:3] == b"\0\1\0"
        exchanged = order.translate(bytes([1, 0, *range(2, 256)]))
        recounted = order[:2] + b"\1" + order[3:]
        last = (b"\0", b"\x20")
        for altered in (exchanged, recounted, *[order[:-1] + one for one in last], bytes(len(order))):
            proof = AggregateProof(base + altered, mixed.publics, mixed.body)
            with pytest.raises(VerificationError) as caught:
                AggregateProof.from_bytes(proof.to_bytes())
            assert caught.value.code == "ENVELOPE"
            with pytest.raises(VerificationError) as caught:
                aprover.reference.verify(proof)
            assert caught.value.code == "ENVELOPE"

    def test_bytes_of_a_kind_are_read_as_that_kind(self, alike: AggregateProof) -> None:
        """A single proof is no aggregate, and an aggregate has no single statement."""
        single = aprover.prove_sync(Fibonacci(20))
        with pytest.raises(VerificationError, match="no aggregate"):
            AggregateProof.from_bytes(single.to_bytes())
        for verify in (aprover.verify, aprover.reference.verify):
            with pytest.raises(VerificationError) as caught:
                verify(alike.to_bytes())
            assert caught.value.code == "BACKEND"


class TestMembers:
    def test_a_member_proves_its_statement(self, mixed: AggregateProof) -> None:
        """By the whole, which it carries."""
        for index in (0, 3, len(MIXED) - 1):
            member = mixed.member(index)
            assert both(member, OWN) == member.statement == MIXED[index].statement()
            assert member.public_outputs == MIXED[index].public_outputs()
            assert member.security == mixed.security
            assert member.parameters == mixed.parameters
            assert member.security_for(OWN) == mixed.security
            assert member.backend == "aggregate"
        assert mixed.member(-1).index == len(MIXED) - 1
        with pytest.raises(IndexError):
            mixed.member(len(MIXED))

    def test_bytes_give_back_the_member(self, alike: AggregateProof) -> None:
        """So do pickles; both verifiers take the bytes."""
        member = alike.member(2)
        for twin in (Proof.from_bytes(member.to_bytes()), pickle.loads(pickle.dumps(member))):
            assert isinstance(twin, AggregateMember)
            assert twin == member
            assert hash(twin) == hash(member)
        assert len(member) == len(member.to_bytes())
        assert member != alike.member(1)
        assert member != 1
        assert "AggregateMember(index=2" in repr(member)
        for verify in (aprover.verify, aprover.reference.verify):
            assert verify(member.to_bytes(), member.statement) == member.statement

    def test_members_share_their_bytes(self, alike: AggregateProof) -> None:
        """Each counts for its share."""
        shares = [alike.member(i).share for i in range(5)]
        assert len(alike) <= sum(shares) < len(alike) + 5

    def test_another_statement_than_its_own_is_rejected(self, alike: AggregateProof) -> None:
        """A member's envelope names the statement, and the aggregate has it at that place."""
        member = alike.member(2)
        other = alike.statement(1)
        for verify in (aprover.verify, aprover.reference.verify):
            with pytest.raises(VerificationError) as caught:
                verify(member, other)
            assert caught.value.code == "STATEMENT"
        data = member.to_bytes()
        at = data.index(b"\2\0\0\0APRV")
        for index, code in ((1, "STATEMENT"), (5, "ENVELOPE")):
            altered = data[:at] + index.to_bytes(4, "little") + data[at + 4 :]
            for verify in (aprover.verify, aprover.reference.verify):
                with pytest.raises(VerificationError) as caught:
                    verify(altered)
                assert caught.value.code == code
        with pytest.raises(VerificationError):
            aprover.verify(member, program=Fibonacci(20, 7, 7))
        assert aprover.verify(member, program=Fibonacci(20, 2, 1)) == member.statement


class TestEngine:
    async def test_an_aggregate_is_one_request(self) -> None:
        """It is joined while it is made, and kept."""
        programs = [Fibonacci(20, i, 2) for i in range(6)]
        async with aprover.open_engine(workers=1) as engine:
            first = await engine.prove_batch(programs, aggregate=True)
            assert await aprover.prove_batch(list(programs), aggregate=True) is first
            other = await engine.prove_batch(programs[::-1], aggregate=True)
            assert other.statements == first.statements[::-1]
            assert engine.statistics().hits == 1
            assert engine.statistics().cache_bytes >= len(first) + len(other)
            assert await engine.prove_batch(programs, aggregate=True, cache=False) == first

    async def test_verify_batch_takes_all_kinds(self, alike: AggregateProof) -> None:
        """An aggregate gives a tuple in its place."""
        member = alike.member(1)
        single = await aprover.prove(Fibonacci(20))
        found = await aprover.verify_batch([alike, member, single, member.to_bytes()])
        assert found == [alike.statements, member.statement, single.statement, member.statement]

    def test_so_does_the_synchronous_one(self, alike: AggregateProof) -> None:
        """The same for scripts."""
        assert aprover.verify_batch_sync([alike]) == [alike.statements]

    async def test_failures_are_its_own(self) -> None:
        """No group of them: there is one proof."""
        with pytest.raises(ProgramError):
            await aprover.prove_batch([Fibonacci(20), TABLES], aggregate=True)


class TestCommandLine:
    @pytest.fixture
    def files(self, alike: AggregateProof, tmp_path: Path) -> tuple[Path, Path]:
        """An aggregate, and a member of it."""
        whole, member = tmp_path / "whole", tmp_path / "member"
        whole.write_bytes(alike.to_bytes())
        member.write_bytes(alike.member(2).to_bytes())
        return whole, member

    @pytest.mark.parametrize("options", [[], ["--reference"]])
    def test_verify_says_all_that_an_aggregate_proves(self, files: tuple[Path, Path], options: list[str]) -> None:
        """Of a member, its own statement."""
        whole, member = files
        out = run_command("verify", str(whole), *options)
        assert "5 statements together" in out
        assert out.count("'fibonacci'") == 5
        assert "proven bits" in out
        assert run_command("verify", str(member), *options).count("'fibonacci'") == 1
        facts = json.loads(run_command("verify", "--json", str(whole), *options))
        assert len(facts["statement"]) == 5
        assert (facts["backend"], facts["verified"]) == ("aggregate", True)

    def test_inspect_accounts_for_every_byte(self, files: tuple[Path, Path]) -> None:
        """Of the whole, part by part."""
        for file in files:
            facts = json.loads(run_command("inspect", "--json", str(file)))
            assert sum(part["bytes"] for part in facts["parts"]) == facts["bytes"] == file.stat().st_size
            assert facts["security"]["proven_bits"] >= 100
        assert "claims" in run_command("inspect", str(files[0]))


def run_command(*words: str) -> str:
    """What `aprover` prints, with exit code 0."""
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result.stdout


class TestHostileBytes:
    @given(st.data())
    @settings(max_examples=60, deadline=None)
    def test_no_change_of_a_byte_is_accepted(self, alike: AggregateProof, data: st.DataObject) -> None:
        """Nor does it raise anything but a rejection; both verifiers agree."""
        octets = bytearray(alike.to_bytes())
        at = data.draw(st.integers(0, len(octets) - 1) | st.integers(0, 130))
        octets[at] ^= data.draw(st.integers(1, 255))
        try:
            proof = AggregateProof.from_bytes(octets)
        except VerificationError:
            return
        codes(proof)
