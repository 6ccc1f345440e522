"""The reference verifier on whole proofs, made by the slow prover of the test tree."""

from __future__ import annotations

import copy
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import blake3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aprover.reference.air import decode
from aprover.reference.field import F, P, word_bytes
from aprover.reference.layout import Layout, Phase, ReferenceParameters
from aprover.reference.reader import Reader, Rejected
from aprover.reference.transcript import Tag, Transcript
from aprover.reference.verifier import _check_nonce, _out_of_domain_point, verify_stark
from tests.support.toy_layout import Parameters
from tests.support.toy_lie import Lie
from tests.support.toy_programs import Instance, fibonacci, mixer, random_program
from tests.support.toy_prover import Run, prove
from tests.support.toy_tables import Sizes, ledger, random_tables

INSTANCES = {
    "narrow 2^3": (fibonacci(3), Parameters(log_blowup=3, queries=8)),
    "narrow 2^10": (fibonacci(10), Parameters(log_blowup=2, queries=10, cap_log=3, grinding_bits=4)),
    "wide 2^3": (mixer(3, 18), Parameters(log_blowup=2, queries=9, independent=True)),
    "wide 2^10": (mixer(10, 18), Parameters(log_blowup=1, queries=10, cap_log=2)),
    "tables": (ledger(Sizes(8, 3, 7, 2)), Parameters(log_blowup=1, queries=10, cap_log=1, grinding_bits=3)),
    "masked tables": (ledger(Sizes(4, 3, 7)), Parameters(log_blowup=1, queries=6, cap_log=2, zk=True)),
}


@dataclass(frozen=True)
class Case:
    """A claim with an honest proof, and where its parts are."""

    instance: Instance
    parameters: Parameters
    proof: bytes

    def code(self, proof: bytes | None = None, **changes: Any) -> str | None:
        """The code that the verifier rejects with, None if it accepts; the claim may be changed."""
        claim: dict[str, Any] = {
            "air": self.instance.air,
            "publics": self.instance.publics,
            "statement": self.instance.statement,
        }
        claim |= changes
        try:
            verify_stark(**claim, proof=self.proof if proof is None else proof)
        except Rejected as rejected:
            return rejected.code
        return None

    def changed(self, at: int, new: bytes) -> bytes:
        """The proof with other bytes at a position."""
        return self.proof[:at] + new + self.proof[at + len(new) :]

    def flipped(self, at: int) -> bytes:
        """The proof with one bit changed, so low that an element stays canonical unless it is p - 1."""
        return self.changed(at, bytes([self.proof[at] ^ 1]))

    @property
    def layout(self) -> Layout:
        return Layout(decode(self.instance.air), ReferenceParameters.from_bytes(self.proof[:8]))

    def messages(self) -> dict[str, tuple[int, int]]:
        """(start, length) of each part up to the nonce."""
        layout = self.layout

        def caps(phase: Phase) -> int:
            return sum(tree.cap_bytes for tree in layout.trees[phase].values())

        lengths = {"parameters": 8, "trace cap": caps(Phase.TRACE)}
        if layout.sums:
            lengths |= {"lookup cap": caps(Phase.LOOKUP), "sums": 20 * layout.sums}
        lengths |= {"quotient cap": caps(Phase.QUOTIENT), "openings": 20 * layout.openings}
        lengths |= {f"cap {t}": tree.cap_bytes for t, tree in layout.layers.items()}
        lengths |= {"final": 20 * 2 ** layout.domains[-1].log_k, "nonce": 8}
        parts, at = {}, 0
        for name, length in lengths.items():
            parts[name] = at, length
            at += length
        return parts


@lru_cache
def case(name: str) -> Case:
    instance, parameters = INSTANCES[name]
    args = instance.air, instance.publics, instance.statement, parameters.to_bytes(), instance.traces
    return Case(instance, parameters, prove(*args))


def lied(name: str, lie: Lie) -> str | None:
    """The code for a proof made with a lie and honest Fiat-Shamir."""
    honest = case(name)
    instance = honest.instance
    args = instance.air, instance.publics, instance.statement, honest.parameters.to_bytes(), instance.traces
    return honest.code(prove(*args, lie))


every_case = pytest.mark.parametrize("name", INSTANCES)


class TestHonestProofs:
    @every_case
    def test_accepted(self, name: str) -> None:
        """An honest proof is accepted, and the parameters returned are those that it was made with."""
        honest = case(name)
        instance, asked = honest.instance, honest.parameters
        found = verify_stark(instance.air, instance.publics, instance.statement, honest.proof)
        assert found == ReferenceParameters(
            asked.log_blowup, asked.grinding_bits, asked.cap_log, asked.independent, asked.zk, asked.queries
        )

    @pytest.mark.parametrize("seed", range(12))
    def test_random_programs(self, seed: int) -> None:
        """Random AIRs (degrees to 8, offsets, periodic columns, boundaries anywhere) prove in both layouts."""
        instance = random_program(seed, 3 + seed % 3, seed % 2 == 1)
        parameters = Parameters(1 + seed % 4, 2, 0, seed % 9, seed % 3 == 0).to_bytes()
        proof = prove(instance.air, instance.publics, instance.statement, parameters, instance.traces)
        verify_stark(instance.air, instance.publics, instance.statement, proof)

    @pytest.mark.parametrize("zk", [False, True], ids=["plain", "zk"])
    @pytest.mark.parametrize("seed", range(6))
    def test_random_tables(self, seed: int, zk: bool) -> None:
        """Random AIRs of several tables with buses, preprocessed columns and lookups prove, masked or not."""
        instance = random_tables(seed, 3 + seed % 3)
        parameters = Parameters(1 + seed % 3, 2, 0, seed % 9, seed % 2 == 0, zk).to_bytes()
        proof = prove(instance.air, instance.publics, instance.statement, parameters, instance.traces)
        verify_stark(instance.air, instance.publics, instance.statement, proof)


class TestStep1:
    @pytest.mark.parametrize(
        ("index", "value"),
        [(0, 0), (0, 7), (0, 255), (1, 33), (1, 63), (1, 64), (1, 255), (2, 9), (2, 255), (3, 4), (3, 255)],
    )
    def test_parameters(self, index: int, value: int) -> None:
        """Each parameter outside of section 5 is PARAMETERS."""
        honest = case("narrow 2^3")
        assert honest.code(honest.changed(index, bytes([value]))) == "PARAMETERS"

    def test_no_blowup(self) -> None:
        """A blowup of 1 is PARAMETERS whatever the rest."""
        honest = case("narrow 2^3")
        assert honest.code(b"\x00\x00\x00\x00\x01\x00\x00\x00" + honest.proof[8:]) == "PARAMETERS"

    @pytest.mark.parametrize(("name", "most"), [("narrow 2^3", 8), ("wide 2^3", 32), ("wide 2^10", 2048)])
    def test_queries(self, name: str, most: int) -> None:
        """No queries, or more than there are indices, is PARAMETERS; up to that the proof is merely another one."""
        honest = case(name)
        for queries, allowed in [(0, False), (1, True), (most, True), (most + 1, False), (2**32 - 1, False)]:
            code = honest.code(honest.changed(4, queries.to_bytes(4, "little")))
            assert (code != "PARAMETERS") is allowed

    def test_at_most_4096_queries(self) -> None:
        """4097 queries are PARAMETERS even where there are more indices."""
        instance = fibonacci(15)
        for queries, code in [(4096, "TRUNCATED"), (4097, "PARAMETERS")]:
            with pytest.raises(Rejected, match=code):
                verify_stark(instance.air, instance.publics, b"", Parameters(3, queries).to_bytes())

    def test_domain_of_at_most_2_to_27(self) -> None:
        """log n above 27 is PARAMETERS."""
        words = [fibonacci(3).air[i : i + 4] for i in range(0, len(fibonacci(3).air), 4)]
        words[6] = word_bytes([24])  # log_height of the first table
        air = b"".join(words)
        publics = fibonacci(3).publics
        for log_blowup, code in [(3, "TRUNCATED"), (4, "PARAMETERS")]:
            with pytest.raises(Rejected, match=code):
                verify_stark(air, publics, b"", Parameters(log_blowup, 1).to_bytes())


def claims(honest: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    """False claims that an honest proof is presented with, by name."""
    instance = honest.instance
    yield "statement", {"statement": instance.statement + b"\0"}
    yield "public value", {"publics": [(instance.publics[0] + 1) % P, *instance.publics[1:]]}
    yield "last public value", {"publics": [*instance.publics[:-1], (instance.publics[-1] + 1) % P]}


class TestSteps2To5:
    @every_case
    def test_prefixes(self, name: str) -> None:
        """Every proper prefix is TRUNCATED; all are tried near the ends of parts, and some elsewhere."""
        honest = case(name)
        ends = [start + length for start, length in honest.messages().values()]
        lengths = {end + i for end in ends for i in (-1, 0, 1)} | set(range(0, len(honest.proof), 997)) | set(range(9))
        for length in sorted(lengths | {len(honest.proof) - 1}):
            assert honest.code(honest.proof[:length]) == "TRUNCATED"

    @every_case
    def test_non_canonical_elements(self, name: str) -> None:
        """An element that is written as x + p is NON_CANONICAL, in the openings and in the final polynomial."""
        honest = case(name)
        for part in {"sums", "openings", "final"} & honest.messages().keys():
            start, length = honest.messages()[part]
            for at in (start, start + length - 4):
                value = int.from_bytes(honest.proof[at : at + 4], "little")
                assert honest.code(honest.changed(at, word_bytes([value + P]))) == "NON_CANONICAL"
                assert honest.code(honest.changed(at, word_bytes([P]))) == "NON_CANONICAL"

    def test_front_to_back(self) -> None:
        """A missing byte hides a wrong value in its own part and in later ones, not in earlier ones."""
        honest = case("narrow 2^10")
        parts = honest.messages()
        wrong = honest.changed(parts["openings"][0], b"\xff" * 4)
        assert honest.code(wrong[: sum(parts["openings"]) - 1]) == "TRUNCATED"
        assert honest.code(wrong[: sum(parts["openings"])]) == "NON_CANONICAL"
        assert honest.code(wrong[: sum(parts["final"]) - 1]) == "NON_CANONICAL"

    @every_case
    def test_false_claims(self, name: str) -> None:
        """A true proof for another claim fails at the quotient, since alpha and z are others."""
        honest = case(name)
        for what, changes in claims(honest):
            assert honest.code(**changes) == "QUOTIENT", what

    def test_another_air(self) -> None:
        """One constant of the AIR changed, so that all lengths fit: QUOTIENT."""
        honest = case("wide 2^3")
        (table,) = decode(honest.instance.air).tables
        assert table.constants
        at = honest.instance.air.rindex(word_bytes(table.constants))
        other = bytearray(honest.instance.air)
        other[at] ^= 1
        assert honest.code(air=bytes(other)) == "QUOTIENT"

    @every_case
    def test_changed_messages(self, name: str) -> None:
        """A changed cap or opening, or another valid parameter of the same lengths, is QUOTIENT."""
        honest = case(name)
        parts = honest.messages()
        for part in {"trace cap", "lookup cap", "quotient cap", "openings"} & parts.keys():
            start, length = parts[part]
            assert honest.code(honest.flipped(start)) == "QUOTIENT"
            assert honest.code(honest.flipped(start + length - 4)) == "QUOTIENT"
        assert honest.code(honest.flipped(1)) == "QUOTIENT"  # grinding bits

    @pytest.mark.parametrize("name", ["tables", "masked tables"])
    def test_sums(self, name: str) -> None:
        """A changed lookup sum is LOOKUP_SUM; two changed by opposite amounts are QUOTIENT."""
        honest = case(name)
        start, length = honest.messages()["sums"]
        for at in range(start, start + length, 4):
            assert honest.code(honest.flipped(at)) == "LOOKUP_SUM"
        values = [int.from_bytes(honest.proof[at : at + 4], "little") for at in (start, start + 20)]
        more, less = word_bytes([(values[0] + 1) % P]), word_bytes([(values[1] - 1) % P])
        changed = honest.proof[:start] + more + honest.proof[start + 4 : start + 20] + less + honest.proof[start + 24 :]
        assert honest.code(changed) == "QUOTIENT"

    @every_case
    def test_every_opening_is_read(self, name: str) -> None:
        """A change of any one out-of-domain value is QUOTIENT, told with honest Fiat-Shamir or not."""
        honest = case(name)
        start, length = honest.messages()["openings"]
        for at in range(start, start + length, 20):
            assert honest.code(honest.flipped(at)) == "QUOTIENT"

    def test_nonce_of_no_grinding_is_zero(self) -> None:
        """Without grinding, any nonce but 0 is GRINDING."""
        honest = case("narrow 2^3")
        start, length = honest.messages()["nonce"]
        for i in range(length):
            assert honest.code(honest.flipped(start + i)) == "GRINDING"

    def test_changed_messages_after_the_openings(self) -> None:
        """With grinding, a changed FRI cap, final polynomial or nonce loses the work that was done."""
        honest = case("narrow 2^10")
        for part in ("cap 1", "final", "nonce"):
            codes = {honest.code(honest.flipped(honest.messages()[part][0] + i)) for i in (0, 4)}
            assert codes <= {"GRINDING", "NON_CANONICAL", "TRUNCATED", "TRAILING", "TRACE_MERKLE"}
            assert "GRINDING" in codes

    @pytest.mark.parametrize("state", range(4))
    def test_all_grinding_bits_count(self, state: int) -> None:
        """A nonce with z zero bits passes for up to z bits and fails for each more, to 32."""
        transcript = Transcript()
        transcript.absorb(Tag.FINAL, bytes([state]))
        after = copy.copy(transcript)
        after.squeeze()
        for nonce in range(1, 40):
            data = nonce.to_bytes(8, "little")
            work = int.from_bytes(blake3.blake3(data, key=after.state).digest()[:8], "little")
            zeros = (work & -work).bit_length() - 1
            for bits in range(1, 33):
                try:
                    _check_nonce(copy.copy(transcript), data, bits)
                except Rejected as rejected:
                    assert rejected.code == "GRINDING"
                    assert zeros < bits
                else:
                    assert zeros >= bits


def openings(honest: Case) -> dict[str, tuple[int, int, int]]:
    """(start, bytes of leaves, bytes of digests) of each tree's opening, found by recording what is read."""
    found: list[tuple[int, int]] = []
    original = Reader.take

    def take(self: Reader, length: int) -> bytes:
        found.append((self.position, length))
        return original(self, length)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reader, "take", take)
        assert honest.code() is None
    layout = honest.layout
    names = [f"{phase.name} {t}" for phase in Phase for t in layout.trees[phase]]
    names += [f"layer {t}" for t in layout.layers]
    pairs = found[-2 * len(names) :]
    return {
        name: (leaves[0], leaves[1], digests[1])
        for name, leaves, digests in zip(names, pairs[::2], pairs[1::2], strict=True)
    }


class TestSteps6To11:
    @every_case
    def test_trailing(self, name: str) -> None:
        """One byte more is TRAILING, whatever it is."""
        honest = case(name)
        assert honest.code(honest.proof + b"\0") == "TRAILING"
        assert honest.code(honest.proof + honest.proof) == "TRAILING"

    @every_case
    def test_openings(self, name: str) -> None:
        """In every tree: a changed value of any leaf or any digest has that tree's code; x + p is NON_CANONICAL."""
        honest = case(name)
        for tree, (start, leaves, digests) in openings(honest).items():
            kind, level = tree.split()
            code = "FRI_MERKLE" if kind == "layer" else f"{kind}_MERKLE"
            layout = honest.layout
            width = (layout.layers if kind == "layer" else layout.trees[Phase[kind]])[int(level)].leaf_bytes
            for at in range(start, start + leaves, width):  # the first value of each leaf
                assert honest.code(honest.flipped(at)) == code
            assert honest.code(honest.flipped(start + leaves - 4)) == code  # a value or, in the last leaf, salt
            for at in range(start + leaves, start + leaves + digests, max(1, digests // 32 // 8) * 32):
                assert honest.code(honest.flipped(at)) == code
            value = int.from_bytes(honest.proof[start : start + 4], "little")
            assert honest.code(honest.changed(start, word_bytes([value + P]))) == "NON_CANONICAL"

    @every_case
    def test_missing_before_wrong(self, name: str) -> None:
        """A missing leaf byte hides a wrong value in the leaves; a missing digest byte, which comes later, does not."""
        honest = case(name)
        for start, leaves, digests in openings(honest).values():
            wrong = honest.changed(start, b"\xff" * 4)
            assert honest.code(wrong[: start + leaves - 1]) == "TRUNCATED"
            if digests:
                assert honest.code(wrong[: start + leaves + digests - 1]) == "NON_CANONICAL"

    def test_elements_cannot_move_between_leaves(self) -> None:
        """Two neighbouring values exchanged, within a leaf or across two, are seen by the tree."""
        honest = case("wide 2^3")
        start, leaves, _ = openings(honest)["TRACE 0"]
        width = leaves // honest.parameters.queries
        for at in (start, start + width - 4):
            a, b = honest.proof[at : at + 4], honest.proof[at + 4 : at + 8]
            assert a != b
            assert honest.code(honest.changed(at, b + a)) == "TRACE_MERKLE"


class FalseValues(Lie):
    """The values of one FRI layer, from a position on, are off by one; all that follows is honest about that."""

    def __init__(self, t: int, first: int = 0) -> None:
        self.t, self.first = t, first

    def layer(self, run: Run, t: int, values: Any) -> Any:  # noqa: ARG002
        altered = values.copy()
        if t == self.t:
            altered[self.first :, 0] = (altered[self.first :, 0] + 1) % P
        return altered


class FalseFinal(Lie):
    """One coefficient of the final polynomial is off by one."""

    def __init__(self, index: int) -> None:
        self.index = index

    def final(self, run: Run, attempt: int, word: Any, final: Any) -> Any:  # noqa: ARG002
        altered = final.copy()
        altered[self.index, 0] = (altered[self.index, 0] + 1) % P
        return altered


class TestSteps12To14:
    @pytest.mark.parametrize(
        ("name", "layer", "code"), [("wide 2^3", 0, "DEEP"), ("wide 2^10", 0, "DEEP"), ("wide 2^10", 1, "FRI_FOLD")]
    )
    def test_false_layers(self, name: str, layer: int, code: str) -> None:
        """A committed layer whose values are not those of the step before is DEEP for layer 0, FRI_FOLD for others."""
        assert lied(name, FalseValues(layer)) == code

    def test_false_first_fold(self) -> None:
        """Narrow: layer 1 is compared with the folds of D_0 as computed from the opened leaves."""
        assert lied("narrow 2^10", FalseValues(1)) == "FRI_FOLD"

    @pytest.mark.parametrize(
        ("name", "layer", "code"),
        [
            ("wide 2^3", 0, "DEEP"),
            ("wide 2^10", 0, "DEEP"),
            ("wide 2^10", 1, "FRI_FOLD"),
            ("narrow 2^10", 1, "FRI_FOLD"),
        ],
    )
    def test_each_query_is_checked(self, name: str, layer: int, code: str) -> None:
        """The same if only the second half of the positions is false, so that the first query's values are true."""
        half = 2 ** (case(name).layout.domains[layer].log_n - 1)
        assert lied(name, FalseValues(layer, half)) == code

    @every_case
    @pytest.mark.parametrize("index", [0, -1])
    def test_false_final_polynomial(self, name: str, index: int) -> None:
        """Any coefficient of the final polynomial that is not the fold's is FRI_FINAL."""
        assert lied(name, FalseFinal(index)) == "FRI_FINAL"


class TestOutOfDomainPoint:
    def test_redrawn_in_the_base_field(self) -> None:
        """z is drawn again while all its coefficients but the first are zero, and only then."""

        class Scripted(Transcript):
            script: ClassVar = [F.of(5), F.of(0), F((7, 0, 0, 0, 1)), F.of(9)]

            def challenge_element(self) -> F:
                return self.script.pop(0)

        transcript = Scripted()
        assert _out_of_domain_point(transcript) == F((7, 0, 0, 0, 1))
        assert transcript.script == [F.of(9)]


class TestCallersMistakes:
    def test_publics(self) -> None:
        """Public values that do not fit the AIR are the caller's mistake, not a rejection."""
        honest = case("narrow 2^3")
        for publics in ([], honest.instance.publics[:-1], [*honest.instance.publics, 0], [P, 0, 0], [-1, 0, 0]):
            with pytest.raises(ValueError, match="public values"):
                honest.code(publics=publics)

    def test_air(self) -> None:
        """So is a malformed AIR."""
        with pytest.raises(ValueError, match="malformed AIR"):
            case("narrow 2^3").code(air=b"")


class TestBounds:
    @settings(max_examples=60)
    @given(data=st.binary(max_size=400), name=st.sampled_from(list(INSTANCES)))
    def test_arbitrary_bytes(self, data: bytes, name: str) -> None:
        """Arbitrary bytes, alone or after honest parameters, are rejected and raise nothing else."""
        honest = case(name)
        assert honest.code(data) is not None
        assert honest.code(honest.proof[:8] + data) is not None

    @settings(max_examples=60)
    @given(data=st.data(), name=st.sampled_from(list(INSTANCES)))
    def test_one_changed_byte(self, data: st.DataObject, name: str) -> None:
        """No proof with one changed byte is accepted."""
        honest = case(name)
        at = data.draw(st.integers(0, len(honest.proof) - 1))
        other = data.draw(st.integers(1, 255))
        assert honest.code(honest.changed(at, bytes([honest.proof[at] ^ other]))) is not None

    def test_claims_allocate_nothing(self) -> None:
        """Parameters that announce the largest proof cost neither time nor memory when nothing follows them."""
        instance = mixer(10, 18)
        proof = Parameters(6, 4096, 32, 8, True).to_bytes()
        decode(instance.air)
        tracemalloc.start()
        try:
            with pytest.raises(Rejected, match="TRUNCATED"):
                verify_stark(instance.air, instance.publics, instance.statement, proof)
            assert tracemalloc.get_traced_memory()[1] < 2**20
        finally:
            tracemalloc.stop()
