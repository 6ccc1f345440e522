"""SHA-256: its trace, its constraints and its proofs, against hashlib and FIPS 180-4."""

from __future__ import annotations

import hashlib
import pickle
import random
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from aprover import reference
from aprover._native import ffi, lib
from aprover.air import AirBuilder, Expr, Program
from aprover.air.check import check, check_trace, fill_trace
from aprover.air.field import P
from aprover.air.program import describe, program_from_statement
from aprover.backends.stark import stark_parameters
from aprover.errors import ConstraintError, ProgramError, ProveError, VerificationCode, VerificationError
from aprover.programs import sha256
from aprover.programs.sha256 import (
    COLUMNS,
    CONSTANTS,
    GENERATOR,
    INITIAL,
    MAX_LENGTH,
    Rows,
    Sha256,
    block_count,
    digest,
    first_row,
    padding,
    write_columns,
)
from aprover.proof import Proof, shape_of
from aprover.prover import prove
from aprover.statement import Statement
from aprover.testing import find_underconstrained
from aprover.verifier import verify

from .test_programs_fibonacci import c_trace

BOUNDARIES = (0, 1, 2, 3, 4, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 183, 184, 300)
"""Lengths on both sides of where padding changes."""

# NIST's examples for FIPS 180-4: of 24 bits, 0 bits and 448 bits.
NIST = {
    b"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    b"": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": (
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
}


def message_of(length: int) -> bytes:
    return random.Random(length).randbytes(length)


@cache
def proof_of(message: bytes) -> Proof:
    program = Sha256(message)
    return Proof("stark", program.statement(), prove(program, stark_parameters(program.compiled(), 100, "time")))


class _WithoutRanges(AirBuilder):
    def assert_zero(self, expr: Expr, *, when: Expr | int = 1, name: str | None = None) -> None:
        if not str(name).endswith(("is a bit", "is small")):
            super().assert_zero(expr, when=when, name=name)


class TestConstants:
    def test_are_those_of_the_standard(self) -> None:
        """The first and last ones as FIPS 180-4 prints them, and digests depend on all of them."""
        assert (INITIAL[0], INITIAL[7]) == (0x6A09E667, 0x5BE0CD19)
        assert (CONSTANTS[0], CONSTANTS[63], len(CONSTANTS)) == (0x428A2F98, 0xC67178F2, 64)


class TestStatement:
    @pytest.mark.parametrize(("message", "expected"), NIST.items())
    def test_nist_vectors(self, message: bytes, expected: str) -> None:
        """The published digests, and a trace that proves them."""
        program = Sha256(message)
        assert digest(program.public_outputs()).hex() == expected
        check(program)

    @pytest.mark.parametrize("length", BOUNDARIES)
    def test_padding_boundaries(self, length: int) -> None:
        """The trace satisfies the constraints where padding takes another word, another byte or another block."""
        program = Sha256(message_of(length))
        assert digest(program.public_outputs()) == hashlib.sha256(program.message).digest()
        check(program)

    @given(st.binary(max_size=300))
    @settings(max_examples=40, deadline=None)
    def test_random_messages(self, message: bytes) -> None:
        """So do messages of any length and content."""
        program = Sha256(message)
        assert digest(program.public_outputs()) == hashlib.sha256(message).digest()
        check(program)

    @pytest.mark.parametrize("length", [60 * 64 - 9, 60 * 64 - 8, 61 * 64, 120 * 64 - 9, 120 * 64 - 8])
    def test_over_the_end_of_a_period(self, length: int) -> None:
        """The state gets over the rows that 60 blocks leave of 4096, and the digest may stand before them."""
        check(Sha256(message_of(length)))

    def test_length_is_public_and_the_message_is_not(self) -> None:
        """The statement names the length and the halves of the digest; the message is in no text."""
        program = Sha256(b"secret message")
        statement = program.statement()
        assert statement.parameters == (("length", 14),)
        assert statement.public_inputs == ()
        assert digest([int(half) for half in statement.public_outputs if type(half) is int]) == (
            hashlib.sha256(b"secret message").digest()
        )
        assert "secret" not in repr(program) + repr(statement)
        assert pickle.loads(pickle.dumps(program)) == program

    def test_shape(self) -> None:
        """128 columns of degree 3 in two chunks; 68 rows a block, 60 blocks in 4096 rows."""
        air = Sha256(bytes(200)).compiled()
        (table,) = air.tables
        assert (table.columns, table.degree, table.height, table.rows_read) == (COLUMNS, 3, 512, 16)
        assert shape_of(air).layout().tables[0].chunks == 2
        heights = [Sha256(bytes(64 * blocks - 9)).compiled().height for blocks in (1, 3, 7, 15, 30, 60, 61)]
        assert heights == [128, 256, 512, 1024, 2048, 4096, 8192]
        assert table.registers <= 64


class TestConstraints:
    @pytest.mark.parametrize("length", [0, 3, 5, 100])
    def test_every_cell_is_constrained(self, length: int) -> None:
        """A change of any one cell breaks a constraint, also where there is room for blocks beyond the message."""
        assert find_underconstrained(Sha256(message_of(length)), values=(2**16, P - 2**16)) == ()

    @pytest.mark.parametrize("name", Rows._fields)
    def test_every_word_is_determined(self, name: str) -> None:
        """One wrong bit of a word, in any row, with all columns that follow from it, as a cheating prover would do."""
        program = Sha256(message_of(100))
        air, builder = program.compiled(), describe(program)
        publics = air.publics(program.statement())
        generator = random.Random(name)
        trace = np.zeros((air.columns, air.height), dtype=np.uint32).T
        for row in [*range(5), *generator.sample(range(5, air.height), 30)]:
            rows = Rows.of(air.height, words(program.message + padding(100)))
            getattr(rows, name)[row] ^= 1 << generator.randrange(32)
            write_columns(trace, rows)
            with pytest.raises((ConstraintError, ProgramError)):
                check_trace(builder, air, [np.asfortranarray(trace % P, dtype=np.uint32)], publics)

    @pytest.mark.parametrize("name", ["w", "e", "a"])
    def test_ranges_of_carries(self, name: str) -> None:
        """The last word of a block could be any other one if carries were not small: nothing else would notice."""
        program = Sha256(b"abc")
        publics = program.compiled().publics(program.statement())
        rows, row = Rows.of(128, words(program.message + padding(3))), 67
        getattr(rows, name)[row] ^= 1
        delta = 1 if getattr(rows, name)[row] & 1 else -1
        trace = np.zeros((COLUMNS, 128), dtype=np.uint32).T
        write_columns(trace, rows)
        honest = fill_trace(program)[0]
        trace[:, 116:] = honest[:, 116:]

        def absorb(carries: int, at: int, change: int) -> None:
            """Makes up for a lower limb that is larger by `change` than its sum says."""
            for column, divisor in ((carries, 2**16), (carries + 2, 2**32)):
                trace[at, column] = (int(trace[at, column]) - change * pow(divisor, -1, P)) % P

        w_carry, e_carry, a_carry = 116, 120, 124
        if name == "w":
            absorb(w_carry, row - 15, delta)
            absorb(e_carry, row - 4, -delta)
        elif name == "e":
            absorb(e_carry, row - 4, delta)
            absorb(a_carry, row - 4, -delta)
            absorb(e_carry, row, -delta)
        else:
            absorb(a_carry, row - 4, delta)
            absorb(a_carry, row, -delta)
        with pytest.raises(ConstraintError, match="is a bit"):
            check_trace(describe(program), program.compiled(), [trace], publics)
        loose = _WithoutRanges()
        Sha256.air(loose, program)
        check_trace(loose, loose.compile(), [trace], publics)

    @pytest.mark.parametrize("bit", [0, 16])
    @pytest.mark.parametrize("name", ["ha", "he"])
    def test_the_digest_is_the_state(self, name: str, bit: int) -> None:
        """What is read as the digest cannot be another word that goes round by itself."""
        program = Sha256(b"abc")
        rows = Rows.of(128, words(program.message + padding(3)))
        getattr(rows, name)[68::4] ^= 1 << bit
        trace = np.zeros((COLUMNS, 128), dtype=np.uint32).T
        write_columns(trace, rows)
        with pytest.raises(ConstraintError, match="is the state"):
            check_trace(describe(program), program.compiled(), [trace], _digest_in(trace, 1))

    @pytest.mark.parametrize("limb", [0, 1])
    def test_there_is_no_word_before_the_first_row(self, limb: int) -> None:
        """Nor may one be made up together with the sum that it goes into."""
        program = Sha256(b"abc")
        trace = fill_trace(program)[0]
        trace[0, 110 + limb] = 5
        trace[0, 112 + limb] += 5
        air = program.compiled()
        with pytest.raises(ConstraintError, match="is zero at first"):
            check_trace(describe(program), air, [trace], air.publics(program.statement()))

    def test_the_state_begins_as_the_standard_says(self) -> None:
        """An honest computation from another initial state gives no proof."""
        program = Sha256(b"abc")
        trace = fill_trace(program)[0]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sha256, "INITIAL", (*INITIAL[:7], 0))
            trace[:] = 0
            program.trace(trace)
        with pytest.raises(ConstraintError, match=r"H7\.low at first"):
            check_trace(describe(program), program.compiled(), [trace], _digest_in(trace, 1))

    @pytest.mark.parametrize("row", [4079, 4080, 4083, 4084, 4091, 4095, 4096, 4097, 4099, 4100, 8190, 8191])
    def test_rows_at_the_end_of_a_period(self, row: int) -> None:
        """Nor may a bit, a limb or a carry differ around the rows that repeat the state."""
        program, air, trace = long_trace()
        columns = random.Random(row).sample(range(COLUMNS), 6)
        publics, builder = air.publics(program.statement()), describe(program)
        for column in columns:
            kept = int(trace[row, column])
            trace[row, column] = (P - kept) % P or 1
            with pytest.raises(ConstraintError) as caught:
                check_trace(builder, air, [trace], publics)
            trace[row, column] = kept
            assert row - 15 <= (caught.value.row or 0) <= row

    @pytest.mark.parametrize("length", [0, 3, 6, 9, 55, 56, 62, 64])
    def test_padding_is_enforced(self, length: int) -> None:
        """No message of another length, and no other padding, passes for one of this length."""
        program = Sha256(message_of(length))
        air, builder = program.compiled(), describe(program)
        padded = program.message + padding(length)
        for position in sorted({length, length + 1, len(padded) - 8, len(padded) - 1} - {len(padded)}):
            other = bytearray(padded)
            other[position] ^= 0x40
            trace = c_trace(GENERATOR, words(bytes(other)), air.columns, air.tables[0].log_height)
            honest_digest = [int(x) for x in _digest_in(trace, block_count(length))]
            with pytest.raises(ConstraintError, match="padding") as caught:
                check_trace(builder, air, [trace], honest_digest)
            block, byte = divmod(position, 64)
            assert caught.value.row == first_row(block) + 4 + byte // 4

    def test_a_wrong_digest(self) -> None:
        """Fails where the digest is read, for each of its halves."""
        program = Sha256(b"abc")
        air, builder, trace = program.compiled(), describe(program), fill_trace(program)[0]
        for i in range(16):
            publics = air.publics(program.statement())
            publics[i] ^= 1
            with pytest.raises(ConstraintError) as caught:
                check_trace(builder, air, [trace], publics)
            assert f"H{i // 2}" in str(caught.value)

    def test_a_single_bit_of_the_message(self) -> None:
        """Another message with an honest trace of its own does not have this digest."""
        program, other = Sha256(b"message a"), Sha256(b"message b")
        air = program.compiled()
        assert other.compiled() is air
        with pytest.raises(ConstraintError):
            check_trace(describe(program), air, [fill_trace(other)[0]], air.publics(program.statement()))


@cache
def long_trace() -> tuple[Program, Any, NDArray[np.uint32]]:
    program = Sha256(message_of(61 * 64))
    return program, program.compiled(), fill_trace(program)[0]


def words(padded: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(padded[i : i + 4], "big") for i in range(0, len(padded), 4))


def _digest_in(trace: NDArray[np.uint32], blocks: int) -> list[int]:
    """The public outputs that fit a trace: halves of ha and he in the rows after the last block."""
    row = first_row(blocks - 1) + 68
    return [int(trace[row + 3 - i % 4, 100 + 2 * (i // 4) + 1 - half]) for i in range(8) for half in range(2)]


class TestTraceInC:
    @pytest.mark.parametrize("length", [0, 3, 55, 56, 200, 1000, 2000, 60 * 64 - 9, 60 * 64, 200 * 64])
    def test_equals_the_trace_in_python(self, length: int) -> None:
        """The same cells in the same columns, in every height."""
        program = Sha256(message_of(length))
        generator, arguments = program.native_trace()
        air = program.compiled()
        assert (c_trace(generator, arguments, air.columns, air.tables[0].log_height) == fill_trace(program)[0]).all()

    @pytest.mark.parametrize(
        ("count", "columns", "log_height"), [(0, 128, 7), (15, 128, 7), (32, 128, 7), (16, 127, 7), (16, 128, 6)]
    )
    def test_refuses_what_does_not_fit(self, count: int, columns: int, log_height: int) -> None:
        """No words, half a block, more blocks than rows, other columns, too few rows."""
        out = ffi.new("uint32_t[]", columns << log_height)
        status = lib.aprover_generate(GENERATOR, [0] * count, count, out, columns, log_height, ffi.NULL)
        assert status == lib.APROVER_ERROR_ARGUMENT

    def test_is_cancelled(self) -> None:
        """A flag stops it."""
        out, flag = ffi.new("uint32_t[]", 128 << 7), ffi.new("int32_t *", 1)
        assert lib.aprover_generate(GENERATOR, [0] * 16, 16, out, 128, 7, flag) == lib.APROVER_CANCELLED


class TestProofs:
    @pytest.mark.parametrize("length", [0, 3, 55, 56, 64, 120, 1024])
    def test_both_verifiers_accept(self, length: int) -> None:
        """A proof of the digest is accepted, and its statement has the digest that hashlib gives."""
        proof = proof_of(message_of(length))
        assert verify(proof) == proof.statement
        assert digest(Sha256(message_of(length)).public_outputs()) == hashlib.sha256(message_of(length)).digest()
        if length in (3, 56, 120):
            assert reference.verify(proof.to_bytes()) == proof.statement

    def test_over_a_period(self) -> None:
        """A message of more than 60 blocks."""
        proof = proof_of(message_of(5000))
        assert verify(proof) == reference.verify(proof.to_bytes()) == proof.statement

    @pytest.mark.parametrize(("index", "change"), [(0, 1), (15, 1), (7, 0x8000)])
    def test_a_wrong_digest(self, index: int, change: int) -> None:
        """Both verifiers reject a proof under a statement with another digest."""
        proof = proof_of(message_of(3))
        halves = list(Sha256(message_of(3)).public_outputs())
        halves[index] ^= change
        claim = Statement(proof.statement.program, proof.statement.parameters, (), tuple(halves))
        for check_proof in (verify, reference.verify):
            with pytest.raises(VerificationError) as caught:
                check_proof(Proof("stark", claim, proof.body).to_bytes())
            assert caught.value.code is VerificationCode.QUOTIENT

    def test_another_length(self) -> None:
        """Nor does the proof hold for a message of another length."""
        proof = proof_of(message_of(3))
        claim = Statement(proof.statement.program, (("length", 4),), (), proof.statement.public_outputs)
        with pytest.raises(VerificationError):
            verify(Proof("stark", claim, proof.body))

    def test_a_lying_trace_makes_no_proof(self) -> None:
        """The prover refuses a trace of another message."""

        class Liar(Sha256):
            id = "sha256-liar"

            def trace(self, out: NDArray[np.uint32]) -> None:
                Sha256(b"abd").trace(out)

        program = Liar(b"abc")
        with pytest.raises(ProveError):
            prove(program, stark_parameters(program.compiled(), 100, "time"))


class TestRefusals:
    @pytest.mark.parametrize("message", ["abc", bytearray(b"abc"), None, 3, [1]])
    def test_what_is_not_bytes(self, message: Any) -> None:
        """The error names the field, and not the private value."""
        with pytest.raises(ProgramError) as caught:
            Sha256(message)
        assert caught.value.field == "message"
        assert caught.value.allowed == "exactly a bytes"

    def test_too_long(self) -> None:
        """At most 2^20 bytes; the error names the length."""
        with pytest.raises(ProgramError) as caught:
            Sha256(bytes(MAX_LENGTH + 1))
        assert (caught.value.field, caught.value.value) == ("length", MAX_LENGTH + 1)
        assert Sha256(bytes(MAX_LENGTH)).compiled().height == 2**21

    @pytest.mark.parametrize("length", [-1, MAX_LENGTH + 1, True, "3", None])
    def test_lengths_in_statements(self, length: Any) -> None:
        """A verifier refuses a statement about a length that cannot be."""
        outputs = Sha256(b"abc").public_outputs()
        with pytest.raises(VerificationError) as caught:
            program_from_statement(Statement("sha256", (("length", length),), (), outputs))
        assert caught.value.code is VerificationCode.PROGRAM

    @pytest.mark.parametrize(
        "outputs", [(), (0,) * 15, (0,) * 17, (0,) * 15 + (65536,), (0,) * 15 + (-1,), ("0",) * 16]
    )
    def test_digest_of_other_outputs(self, outputs: Any) -> None:
        """`digest` takes sixteen halves of words."""
        with pytest.raises(ProgramError, match="outputs"):
            digest(outputs)
