"""Known ways in which STARK implementations have been wrong, each with the test that catches it, on both verifiers.

Lies about the computation itself (broken constraints, false values, false folds) are in test_soundness_lies.py, and
mutations of whole proofs in test_mutations.py; here are the ways of the protocol around them.
"""

# ruff: noqa: ARG003 - a program without parameters gets them all the same

from __future__ import annotations

import functools
import struct
import tracemalloc
from collections import Counter
from collections.abc import Sequence

import pytest

import aprover
from aprover import reference
from aprover.air.program import program_from_statement
from aprover.errors import ProgramError, VerificationCode, VerificationError
from aprover.proof import shape_of
from aprover.reference.field import F
from aprover.reference.transcript import Transcript as ReferenceTranscript
from aprover.reference.verifier import _out_of_domain_point
from aprover.security import Parameters as SecurityParameters
from aprover.security import SecurityReport, security_report
from tests.support import lies
from tests.support import toy_field as tf
from tests.support.lies import Unabsorbed
from tests.support.toy_air import Draft, decode
from tests.support.toy_commit import Tag, Transcript
from tests.support.toy_field import P
from tests.support.toy_layout import Layout, Parameters
from tests.support.toy_lie import Both, Lie
from tests.support.toy_programs import Glitch, Instance, fibonacci, mixer, tribonacci
from tests.support.toy_prover import Run, prove, prove_run
from tests.support.toy_tables import Sizes, ledger
from tests.support.verifiers import VERIFIERS, NativeError, load

NARROW, WIDE = 3, 18


def verdict(instance: Instance, proof: bytes) -> str | None:
    """What all verifiers say; they have to agree."""
    codes = {verify(instance.air, instance.publics, instance.statement, proof) for verify in VERIFIERS.values()}
    assert len(codes) == 1, codes
    return codes.pop()


def lied(instance: Instance, parameters: Parameters, lie: Lie | None) -> bytes:
    claim = instance.air, instance.publics, instance.statement
    return prove(*claim, parameters.to_bytes(), instance.traces, lie)


@functools.lru_cache(maxsize=32)
def honest(log_height: int, columns: int, parameters: Parameters) -> tuple[Instance, bytes, Run]:
    """An honest proof of the mixer program, shared by the tests that alter it."""
    instance = mixer(log_height, columns)
    claim = instance.air, instance.publics, instance.statement
    return instance, *prove_run(*claim, parameters.to_bytes(), instance.traces)


def both_layouts() -> list[tuple[Instance, bytes, Run]]:
    return [honest(5, columns, Parameters(3, 10, 4, 1)) for columns in (NARROW, WIDE)]


def layered() -> tuple[Instance, bytes, Run]:
    """A wide proof with two committed FRI layers."""
    return honest(10, WIDE, Parameters(1, 20, 4, 1))


@functools.lru_cache(maxsize=2)
def tables(zk: bool) -> tuple[Instance, bytes, Run]:
    """A proof of three tables on three levels, with lookups and preprocessed columns."""
    instance, parameters = ledger(Sizes(8, 3, 7)), Parameters(1, 10, 4, 1, zk=zk)
    claim = instance.air, instance.publics, instance.statement
    return instance, *prove_run(*claim, parameters.to_bytes(), instance.traces)


def every_form() -> list[tuple[Instance, bytes, Run]]:
    return [*both_layouts(), layered(), tables(False), tables(True)]


def replaced(run: Run, name: str, data: bytes) -> bytes:
    """The proof with one section replaced."""
    assert any(section == name for section, _ in run.sections)
    return b"".join(data if section == name else old for section, old in run.sections)


class TestFiatShamir:
    @pytest.mark.parametrize("tag", list(Tag), ids=lambda tag: tag.name)
    def test_every_message_is_absorbed_before_what_depends_on_it(self, tag: Tag) -> None:
        """A prover whose challenges do not depend on one kind of message is rejected: the verifiers absorb it."""
        codes = {
            "QUOTIENT": (
                Tag.PROTOCOL, Tag.PARAMETERS, Tag.AIR, Tag.HEIGHT, Tag.PUBLICS, Tag.STATEMENT, Tag.PREPROCESSED_CAP,
                Tag.TRACE_CAP, Tag.LOOKUP_CAP, Tag.LOOKUP_SUM, Tag.QUOTIENT_CAP,
            ),
            "GRINDING": (Tag.OPENINGS, Tag.FRI_CAP, Tag.FINAL),
        }  # fmt: skip
        expected = {code for code, tags in codes.items() if tag in tags}
        # Without the nonce the indices are others, and the openings may break anywhere.
        expected = expected or {"TRUNCATED", "NON_CANONICAL", "TRAILING", "PREPROCESSED_MERKLE"}
        instance, parameters = ledger(Sizes(main=8, log=7)), Parameters(1, 20, 12, 1)
        assert verdict(instance, lied(instance, parameters, Unabsorbed(tag))) in expected

    @pytest.mark.parametrize("tag", [Tag.FINAL, Tag.NONCE], ids=lambda tag: tag.name)
    @pytest.mark.parametrize("columns", [NARROW, WIDE])
    def test_indices_depend_on_the_final_polynomial_and_the_nonce(self, columns: int, tag: Tag) -> None:
        """Without grinding too, indices drawn before the final polynomial or the nonce are not the verifiers'."""
        instance = mixer(5, columns)
        parameters = Parameters(3, 10)
        codes = {"TRUNCATED", "NON_CANONICAL", "TRAILING", "TRACE_MERKLE"}
        assert verdict(instance, lied(instance, parameters, Unabsorbed(tag))) in codes

    @pytest.mark.parametrize("changed", list(Tag), ids=lambda tag: tag.name)
    def test_every_later_challenge_changes(self, changed: Tag) -> None:
        """One bit of one message changes every state after it, and none before."""

        def states(flipped: int) -> list[bytes]:
            transcript = Transcript()
            for tag in Tag:
                transcript.absorb(tag, bytes([1 if tag == flipped else 0]))
                transcript.squeeze()
            return transcript.states

        before, after = states(0), states(changed)
        assert [a == b for a, b in zip(before, after, strict=True)] == [tag < changed for tag in Tag]

    def test_lengths_are_bound(self) -> None:
        """[5, 7] and [5, 7, 0, 0], and the same bytes split differently, give different challenges."""

        def first(*messages: bytes, kind: type[Transcript | ReferenceTranscript] = Transcript) -> Sequence[int]:
            transcript = kind()
            for tag, message in zip((Tag.PUBLICS, Tag.STATEMENT), messages, strict=False):
                transcript.absorb(tag, message)  # type: ignore[arg-type]
            words = transcript.squeeze()
            return [next(words) for _ in range(8)]

        five_seven, zeros = struct.pack("<2I", 5, 7), bytes(8)
        splits = [(five_seven,), (five_seven + zeros,), (five_seven, zeros), (five_seven[:4], five_seven[4:])]
        splits += [(five_seven + zeros, b""), (b"", five_seven + zeros)]
        for kind in (Transcript, ReferenceTranscript):
            assert len({tuple(first(*split, kind=kind)) for split in splits}) == len(splits)

    def test_a_prover_that_does_not_bind_lengths_is_rejected(self) -> None:
        """The verifiers absorb tags and lengths too."""
        instance = fibonacci(3)
        assert verdict(instance, lied(instance, Parameters(3, 4), lies.UnboundLengths())) == "QUOTIENT"

    def test_the_statement_is_bound_byte_by_byte(self) -> None:
        """A proof does not verify for a statement that is longer, shorter, or differs in any byte."""
        instance, proof, _ = both_layouts()[0]
        others = [instance.statement + b"\0", instance.statement[:-1], b""]
        others += [
            bytes(b ^ (i == j) for j, b in enumerate(instance.statement)) for i in range(len(instance.statement))
        ]
        for other in others:
            assert verdict(instance.replace(statement=other), proof) == "QUOTIENT"


class TestOtherClaims:
    """A proof verifies for its own AIR, public values and parameters, and for no other."""

    def test_other_public_values(self) -> None:
        for instance, proof, _ in both_layouts():
            assert verdict(instance, proof) is None
            for i, value in enumerate(instance.publics):
                for other in (value + 1, value - 1, 0):
                    publics = [*instance.publics[:i], other % P, *instance.publics[i + 1 :]]
                    if publics != instance.publics:
                        assert verdict(instance.replace(publics=publics), proof) == "QUOTIENT"

    def test_another_air_with_the_same_shape(self) -> None:
        """One word of the AIR is changed at a time: constants, periodic values, instructions, boundary rows, reads."""
        for instance, proof, _ in both_layouts():
            words = list(struct.unpack(f"<{len(instance.air) // 4}I", instance.air))
            tried = 0
            for i in range(1, len(words), 1 if len(words) < 150 else 7):
                changed = struct.pack(f"<{len(words)}I", *words[:i], words[i] ^ 1, *words[i + 1 :])
                try:
                    load(changed)
                except NativeError:
                    continue  # not an AIR
                air = decode(changed)
                if air.publics != len(instance.publics):
                    continue
                tried += 1
                assert verdict(instance.replace(air=changed), proof) is not None
            assert tried >= 9

    def test_an_air_that_differs_in_nothing_but_an_unused_constant(self) -> None:
        """The digest covers every word, used or not."""
        draft = [Draft(1, 3) for _ in range(2)]
        for i, one in enumerate(draft):
            one.check(one.sub(one.read(0, 1), one.add(one.read(0), one.read(0))))
            one.constant(1000 + i)
        trace = tf.array([[2**i] for i in range(8)])
        first, second = (Instance(one.encode(), [], b"", (trace,)) for one in draft)
        proof = lied(first, Parameters(3, 4), None)
        assert verdict(first, proof) is None
        assert verdict(second, proof) == "QUOTIENT"

    @pytest.mark.parametrize("columns", [NARROW, WIDE])
    def test_another_height(self, columns: int) -> None:
        """A proof for 2^5 rows is none for 2^4 or 2^6, even where the public values agree."""
        instance, proof, _ = honest(5, columns, Parameters(3, 10, 4, 1))
        for log_height in (4, 6):
            other = mixer(log_height, columns).replace(publics=instance.publics)
            assert verdict(other, proof) is not None

    @pytest.mark.parametrize("columns", [NARROW, WIDE])
    def test_other_parameters(self, columns: int) -> None:
        """Each byte of the parameters is changed to each other value that is allowed; none verifies."""
        instance, proof, _ = honest(5, columns, Parameters(3, 10, 4, 1))
        for position, allowed in ((0, range(1, 7)), (1, range(33)), (2, range(9)), (3, range(4)), (4, range(1, 33))):
            for value in set(allowed) - {proof[position]}:
                changed = bytearray(proof)
                changed[position] = value
                assert verdict(instance, bytes(changed)) is not None


class TestParameters:
    @pytest.mark.parametrize("columns", [NARROW, WIDE])
    def test_parameters_out_of_bounds(self, columns: int) -> None:
        """Zero queries, more than there are, and every other value outside section 5 are rejected as such."""
        instance, proof, run = honest(5, columns, Parameters(3, 10, 4, 1))
        domain = 1 << run.layout.log_indices
        bad: list[tuple[int, int]] = [(0, v) for v in (0, 7, 8, 31, 32, 64, 255)]
        bad += [(1, v) for v in (33, 63, 64, 128, 255)]
        bad += [(2, v) for v in (9, 32, 255)] + [(3, v) for v in (4, 8, 128, 255)]
        for position, value in bad:
            changed = bytearray(proof)
            changed[position] = value
            assert verdict(instance, bytes(changed)) == "PARAMETERS", (position, value)
        for queries in (0, domain + 1, 4097, 2**31, 2**32 - 1, 2**32 - 10):
            changed = bytearray(proof)
            changed[4:8] = struct.pack("<I", queries)
            assert verdict(instance, bytes(changed)) == "PARAMETERS", queries

    def test_a_domain_beyond_the_field(self) -> None:
        """log n at most 27: 2^22 rows at blowup 2^6 are too many, 2^5 are not."""
        instance = fibonacci(3)
        draft = Draft(1, 22)
        draft.check(draft.sub(draft.read(0, 1), draft.read(0)))
        large = instance.replace(air=draft.encode(), publics=[])
        assert verdict(large, Parameters(6, 10).to_bytes()) == "PARAMETERS"
        assert verdict(large, Parameters(5, 10).to_bytes()) == "TRUNCATED"

    @pytest.mark.parametrize("bits", [0, 1, 12, 31, 32])
    def test_grinding_bits_are_counted_without_overflow(self, bits: int) -> None:
        """A prover that has not done the work is caught at any number of bits."""
        instance = fibonacci(3)
        proof = lied(instance, Parameters(3, 4, bits), lies.WrongNonce())
        assert verdict(instance, proof) == "GRINDING"

    def test_the_whole_nonce_counts(self) -> None:
        """A nonce is 64 bits: one beyond 2^63 that is valid is accepted, the same lower half alone is not."""
        instance = fibonacci(3)
        parameters = Parameters(3, 4, 8)
        start = 2**63 + 5 * 2**32
        proof, run = prove_run(
            instance.air, instance.publics, instance.statement, parameters.to_bytes(), instance.traces,
            lies.ChosenNonce(start),
        )  # fmt: skip
        assert verdict(instance, proof) is None
        nonce = dict(run.sections)["nonce"]
        assert verdict(instance, replaced(run, "nonce", nonce[:4] + bytes(4))) == "GRINDING"

    @pytest.mark.parametrize("queries", range(1, 9))
    def test_indices_are_distinct_and_the_same_for_all(self, queries: int) -> None:
        """Draws from 8 fold cosets collide often; the verifiers skip values already taken as the protocol says."""
        instance = fibonacci(3)
        for i in range(6):
            other = instance.replace(statement=bytes([i]))
            proof, run = prove_run(
                other.air, other.publics, other.statement, Parameters(3, queries).to_bytes(), other.traces
            )
            assert len(set(run.indices)) == queries
            assert verdict(other, proof) is None

    def test_indices_are_unbiased(self) -> None:
        """Over many transcripts each 3-subset of 8 indices comes about equally often (chi-square, 55 degrees)."""
        count, subsets = 2_800, 56
        seen: Counter[tuple[int, ...]] = Counter()
        for i in range(count):
            transcript = ReferenceTranscript()
            transcript.absorb(Tag.NONCE, struct.pack("<Q", i))  # type: ignore[arg-type]
            seen[tuple(transcript.challenge_indices(3, 8))] += 1
        assert len(seen) == subsets
        expected = count / subsets
        assert sum((n - expected) ** 2 / expected for n in seen.values()) < 110  # p about 1e-5


class TestForm:
    """The form of a proof follows from the statement and the parameters; nothing in it says how much there is."""

    @pytest.mark.parametrize("which", range(5), ids=["narrow", "wide", "layered", "tables", "masked"])
    def test_one_more_one_fewer_or_another_order(self, which: int) -> None:
        """Each part of a proof loses its first or last unit, gets one more, or has two exchanged: all reject."""
        instance, proof, run = every_form()[which]
        for name, data in run.sections[1:]:
            unit = 20 if name in ("sums", "openings", "final") else 8 if name == "nonce" else 32
            unit = unit if not name.endswith("leaves") else 4
            changes = [data[unit:], data[:-unit], data + data[-unit:], data[:unit] + data, data + bytes(unit)]
            if data[:unit] != data[-unit:]:
                changes.append(data[-unit:] + data[unit:-unit] + data[:unit])
            for changed in changes:
                if changed != data:
                    assert verdict(instance, replaced(run, name, changed)) is not None, name
        assert verdict(instance, proof) is None

    @pytest.mark.parametrize("columns", [NARROW, WIDE])
    def test_one_more_coefficient_of_the_final_polynomial(self, columns: int) -> None:
        """A column of degree k + 1 with the longer final polynomial that fits it, absorbed and ground honestly."""
        instance = mixer(5, columns)
        lie = Both(lies.HighDegreeColumn(0, least=True), lies.LongFinal())
        assert verdict(instance, lied(instance, Parameters(3, 10, 8), lie)) == "GRINDING"

    @pytest.mark.parametrize("extra", [b"\0", bytes(3), bytes(4), bytes(32), b"\xff"])
    def test_trailing_bytes(self, extra: bytes) -> None:
        for instance, proof, _ in every_form():
            assert verdict(instance, proof + extra) == "TRAILING"

    def test_every_shorter_proof_is_truncated(self) -> None:
        """Every prefix of a proof is rejected as truncated."""
        for instance, proof, run in (*both_layouts(), tables(True)):
            message = sum(len(data) for name, data in run.sections if not name.endswith(("leaves", "path")))
            for length in {*range(0, len(proof), 97), 7, 8, 9, message - 1, message, message + 1, len(proof) - 1}:
                assert verdict(instance, proof[:length]) == "TRUNCATED", length

    def test_every_value_has_one_encoding(self) -> None:
        """v + p in place of v, for values of each part of the proof, is not canonical. (Salts are no values.)"""
        for instance, proof, run in every_form():
            start = 0
            for name, data in run.sections:
                if name in ("sums", "openings", "final") or name.endswith("leaves"):
                    salt = 16 if run.parameters.zk and name.startswith(("trace", "lookup", "quotient")) else 0
                    for at in {0, 4, len(data) // 8 * 4 if not salt else 0, len(data) - 4 - salt}:
                        position = start + at
                        (value,) = struct.unpack_from("<I", proof, position)
                        changed = bytearray(proof)
                        struct.pack_into("<I", changed, position, value + P)
                        assert verdict(instance, bytes(changed)) == "NON_CANONICAL", name
                start += len(data)

    def test_the_largest_residue_is_canonical_and_the_modulus_is_not(self) -> None:
        """p - 1 is a value, p is none: the bound is exact. (The value is then wrong, so a later check rejects.)"""
        for instance, proof, run in both_layouts():
            position = len(proof) - sum(len(data) for _, data in run.sections[run_index(run, "openings") :])
            for value, code in ((P - 1, "QUOTIENT"), (P, "NON_CANONICAL"), (2**32 - 1, "NON_CANONICAL")):
                changed = bytearray(proof)
                struct.pack_into("<I", changed, position, value)
                assert verdict(instance, bytes(changed)) == code

    def test_nothing_is_allocated_for_what_is_not_there(self) -> None:
        """Eight bytes that announce the largest proof are refused at once, in little memory; so is a long statement."""
        instance = mixer(10, WIDE)
        announced = Parameters(6, 4096, 32, 8).to_bytes()
        envelope = b"APRV\x02\0\0\0" + struct.pack("<I", 2**32 - 1) + bytes(100)
        tracemalloc.start()
        try:
            assert verdict(instance, announced) == "TRUNCATED"
            with pytest.raises(VerificationError) as caught:
                aprover.verify(envelope)
            assert caught.value.code == VerificationCode.ENVELOPE
            with pytest.raises(VerificationError) as caught:
                reference.verify(envelope)
            assert caught.value.code == VerificationCode.ENVELOPE
            assert tracemalloc.get_traced_memory()[1] < 2**21
        finally:
            tracemalloc.stop()


def run_index(run: Run, name: str) -> int:
    return [section for section, _ in run.sections].index(name)


class TestOpenings:
    """Everything that is opened is checked."""

    @pytest.mark.parametrize("columns", [NARROW, WIDE])
    def test_every_word_of_a_leaf_is_checked(self, columns: int) -> None:
        """One word of every leaf is altered before it is committed, each word in turn: rows that are not the first of
        their group count as much as the first."""
        instance = mixer(3, columns)
        layout = Layout(decode(instance.air), Parameters(3, 6))
        per_column = 8 if layout.narrow else 1
        trees = {"trace": per_column * columns, "quotient": per_column * 5 * layout.places[0].chunks}
        if not layout.narrow:
            trees["fri 0"] = 8 * 5
        for tree, words in trees.items():
            for word in range(0, words, 1 if tree == "trace" else 3):
                proof = lied(instance, Parameters(3, 6), lies.AlteredWord(tree, word))
                codes = {"FRI_FINAL"} if layout.narrow else {"DEEP"}
                if tree == "fri 0":  # the queried position itself, or its neighbours in the coset
                    codes = {"DEEP", "FRI_FINAL"}
                assert verdict(instance, proof) in codes, (tree, word)

    def test_every_word_of_an_inner_layer_is_checked(self) -> None:
        """Likewise for FRI layer 1: the member that a fold leads to, or one that only the next fold reads."""
        instance = mixer(10, NARROW)
        for word in range(0, 40, 7):
            proof = lied(instance, Parameters(1, 20), lies.AlteredWord("fri 1", word))
            assert verdict(instance, proof) in ("FRI_FOLD", "FRI_FINAL")

    def test_paths_are_as_long_as_the_tree_is_deep(self) -> None:
        """A digest more or fewer in any path is an error, whatever the digests are."""
        for instance, _, run in (*both_layouts(), layered()):
            for name, data in run.sections:
                if name.endswith("path") and data:
                    for changed in (data[32:], data[:-32], data + data[-32:], bytes(32) + data):
                        assert verdict(instance, replaced(run, name, changed)) is not None

    def test_caps_of_every_height(self) -> None:
        """The cap may be the root, the leaves themselves, or anything between, and is checked at each height."""
        instance = fibonacci(3)
        for cap_log in range(9):
            for lie, code in ((None, None), (lies.ChangedLeaf("trace", -1, 3), "TRACE_MERKLE")):
                assert verdict(instance, lied(instance, Parameters(3, 5, 0, cap_log), lie)) == code


class TestConstraints:
    """Each constraint holds on each of its rows."""

    @pytest.mark.parametrize("columns", [NARROW, WIDE])
    def test_each_transition_on_each_row(self, columns: int) -> None:
        """One wrong step, in each row and column in turn (the rest of the trace follows from it), is noticed."""
        for row in range(1, 8):
            for column in range(columns) if columns == NARROW else (0, 9, columns - 1):
                instance = mixer(3, columns, Glitch(row, column))
                assert verdict(instance, lied(instance, Parameters(3, 4), Lie())) == "QUOTIENT", (row, column)

    def test_each_row_of_a_constraint_that_reads_three_rows_ahead(self) -> None:
        """Only the last three rows are exempt: wrong steps into rows 3 to k - 1 are all noticed."""
        assert verdict(tribonacci(3), lied(tribonacci(3), Parameters(3, 4), None)) is None
        for row in range(3, 8):
            instance = tribonacci(3, Glitch(row, 0))
            assert verdict(instance, lied(instance, Parameters(3, 4), Lie())) == "QUOTIENT", row

    def test_each_boundary_value(self) -> None:
        """Each boundary is broken alone: by the trace's other start, or by another public value."""
        for glitch in (Glitch(0, 0), Glitch(0, 1), Glitch(0, 2)):
            instance = mixer(3, NARROW, glitch)
            assert verdict(instance, lied(instance, Parameters(3, 4), Lie())) == "QUOTIENT"
        for i in range(4):
            instance = tribonacci(3)
            false = instance.replace(publics=[v + (i == j) for j, v in enumerate(instance.publics)])
            assert verdict(false, lied(false, Parameters(3, 4), Lie())) == "QUOTIENT"

    def test_a_public_value_that_no_constraint_reads_proves_nothing(self) -> None:
        """The proof system cannot notice it: a false value is accepted. So a program that has one cannot be built."""
        draft = Draft(1, 3, publics=2)
        draft.check(draft.sub(draft.read(0, 1), draft.read(0)))
        draft.boundary(0, 0, draft.public(0))
        instance = Instance(draft.encode(), [4, 999], b"", (tf.array([[4]] * 8),))
        assert verdict(instance, lied(instance, Parameters(3, 4), None)) is None

        class Unread(aprover.Program):
            """Declares an output and binds it to nothing."""

            def public_outputs(self) -> tuple[int, ...]:
                return (999,)

            @classmethod
            def air(cls, b: aprover.AirBuilder, params: object) -> None:
                b.rows(8)
                x = b.column("x")
                b.assert_equal(x.next, x)
                b.output(0)

        with pytest.raises(ProgramError):
            Unread().compiled()

        class UnreadInput(aprover.Program):
            """Declares a public input and never reads it."""

            seed: int = aprover.public(default=1)

            @classmethod
            def air(cls, b: aprover.AirBuilder, params: object) -> None:
                b.rows(8)
                x = b.column("x")
                b.assert_equal(x.next, x)

        with pytest.raises(ProgramError):
            UnreadInput().compiled()


class TestOutOfDomainPoint:
    def test_z_in_the_base_field_is_redrawn(self) -> None:
        """All domains lie in the base field; a scripted challenger that offers such points is asked again."""

        class Scripted(ReferenceTranscript):
            def __init__(self, *offers: F) -> None:
                super().__init__()
                self.offers = list(offers)

            def challenge_element(self) -> F:
                return self.offers.pop(0)

        trace_point, lde_point, good = F.of(1), F.of(31), F([0, 0, 0, 0, 1])
        transcript = Scripted(trace_point, lde_point, F.of(0), good, F.of(7))
        assert _out_of_domain_point(transcript) == good
        assert transcript.offers == [F.of(7)]


class TestExtensionField:
    def test_the_reference_and_the_slow_field_agree(self) -> None:
        """Products and inverses of the degree-5 extension, written twice and independently, agree; X^5 is 2."""
        values = lies.random_elements("extension field", 60)
        for a, b in zip(values[:30], values[30:], strict=True):
            first, second = F(a.tolist()), F(b.tolist())
            assert first * second == F(tf.mul(a, b).tolist())
            assert first.inverse() == F(tf.ext_inverse(a[None])[0].tolist())
            assert first * first.inverse() == F.of(1)
        x = F([0, 1, 0, 0, 0])
        assert x * x * x * x * x == F.of(2)


class TestReport:
    """The report is of what was checked, and a verifier enforces its own minimum."""

    def _proof(self, parameters: Parameters) -> aprover.Proof:
        program = aprover.Fibonacci(32)
        statement = program.statement()
        compiled, _ = program_from_statement(statement)
        traces = fibonacci(5).traces
        body = prove(compiled.data, compiled.publics(statement), statement.to_bytes(), parameters.to_bytes(), traces)
        return aprover.Proof(backend="stark", statement=statement, body=body)

    def _report(self, parameters: Parameters) -> SecurityReport:
        compiled, _ = program_from_statement(aprover.Fibonacci(32).statement())
        return security_report(shape_of(compiled), SecurityParameters.from_bytes(parameters.to_bytes()))

    def test_a_proof_at_the_policy_is_accepted(self) -> None:
        """The slow prover's proof of a shipped program passes through both doors."""
        proof = self._proof(Parameters(3, 12))
        assert aprover.verify(proof) == proof.statement == reference.verify(proof)

    @pytest.mark.parametrize(
        "weaker",
        [Parameters(3, 11), Parameters(3, 1), Parameters(2, 8), Parameters(1, 5, 8), Parameters(3, 4, 12)],
        ids=str,
    )
    def test_every_parameter_below_policy_is_rejected(self, weaker: Parameters) -> None:
        """Correct proofs with fewer bits than asked for, by both verifiers, and accepted where fewer are asked for."""
        proof = self._proof(weaker)
        bits = self._report(weaker).proven_bits
        assert bits < 100
        for verify in (aprover.verify, reference.verify):
            with pytest.raises(VerificationError) as caught:
                verify(proof)
            assert caught.value.code == VerificationCode.SECURITY
            if bits >= 1:
                assert verify(proof, min_security=int(bits)) == proof.statement
                with pytest.raises(VerificationError):
                    verify(proof, min_security=int(bits) + 1)

    def test_the_report_comes_from_the_bytes_that_were_checked(self) -> None:
        """The report of a proof follows its parameters, whatever was meant when it was made."""
        for parameters in (Parameters(3, 12), Parameters(3, 11), Parameters(4, 8, 3), Parameters(3, 12, 0, 2, True)):
            proof = self._proof(parameters)
            report = proof.security
            assert report == self._report(parameters)
            assert (report.queries, report.blowup) == (parameters.queries, 1 << parameters.log_blowup)
            assert report.grinding_bits == parameters.grinding_bits

    def test_a_proof_of_another_statement_is_not_the_one_that_was_meant(self) -> None:
        """The verifier's statement decides, and a proof moved under another statement fails."""
        proof = self._proof(Parameters(3, 12))
        other = aprover.Fibonacci(32, 5, 6).statement()
        moved = aprover.Proof(backend="stark", statement=other, body=proof.body)
        for verify in (aprover.verify, reference.verify):
            with pytest.raises(VerificationError) as caught:
                verify(proof, other)
            assert caught.value.code == VerificationCode.STATEMENT
            with pytest.raises(VerificationError) as caught:
                verify(moved)
            assert caught.value.code == VerificationCode.QUOTIENT
