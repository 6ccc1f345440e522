"""The reference verifier's transcript."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import combinations, islice, product

import blake3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aprover.reference.blake3 import K_TRANSCRIPT
from aprover.reference.field import F, P, word_bytes, words
from aprover.reference.transcript import Tag, Transcript

items = st.lists(st.tuples(st.sampled_from(Tag), st.binary(max_size=40)), max_size=4)


class Scripted(Transcript):
    """A transcript whose words are given."""

    def __init__(self, script: list[int]) -> None:
        super().__init__()
        self.script = iter(script)

    def squeeze(self) -> Iterator[int]:
        return self.script


def challenges_after(absorbed: list[tuple[Tag, bytes]]) -> tuple[F, list[int]]:
    """What a transcript gives after each item was absorbed, a challenge element drawn after each of them."""
    transcript = Transcript()
    for tag, data in absorbed:
        transcript.absorb(tag, data)
        transcript.challenge_element()
    return transcript.challenge_element(), transcript.challenge_indices(8, 2**20)


class TestSqueeze:
    @given(items, items)
    def test_against_the_package(self, first: list[tuple[Tag, bytes]], second: list[tuple[Tag, bytes]]) -> None:
        """State and words are those of BLAKE3's extended output over tag, length and data, keyed with the state."""
        transcript, state = Transcript(), K_TRANSCRIPT
        for absorbed in (first, second):
            buffer = b"".join(bytes([tag]) + len(data).to_bytes(8, "little") + data for tag, data in absorbed)
            for tag, data in absorbed:
                transcript.absorb(tag, data)
            output = blake3.blake3(buffer, key=state).digest(length=32 + 4 * 50)
            assert list(islice(transcript.squeeze(), 50)) == list(words(output[32:]))
            state = output[:32]
            assert transcript.state == state

    def test_the_state_is_renewed_before_any_word_is_used(self) -> None:
        """A squeeze whose words are not used changes the state as any other."""
        transcript = Transcript()
        transcript.absorb(Tag.FINAL, b"x")
        transcript.squeeze()
        assert transcript.state == blake3.blake3(b"\x0b" + b"\x01" + bytes(7) + b"x", key=K_TRANSCRIPT).digest()
        assert not transcript.buffer

    def test_consecutive_squeezes_differ(self) -> None:
        """A squeeze with an empty buffer gives fresh words."""
        transcript = Transcript()
        assert transcript.challenge_element() != transcript.challenge_element()

    def test_tags(self) -> None:
        """The tags are numbered 1 to 15 in the order of section 3."""
        names = "PROTOCOL PARAMETERS AIR HEIGHT PUBLICS STATEMENT TRACE_CAP QUOTIENT_CAP OPENINGS FRI_CAP FINAL NONCE"
        names += " PREPROCESSED_CAP LOOKUP_CAP LOOKUP_SUM"
        assert [(tag.name, tag.value) for tag in Tag] == list(zip(names.split(), range(1, 16), strict=True))


class TestBinding:
    def test_lengths_bind(self) -> None:
        """[5, 7] and [5, 7, 0, 0] give different challenges."""
        assert challenges_after([(Tag.PUBLICS, word_bytes([5, 7]))]) != challenges_after(
            [(Tag.PUBLICS, word_bytes([5, 7, 0, 0]))]
        )

    @given(data=st.binary(min_size=1, max_size=30), cut=st.data())
    def test_splits_bind(self, data: bytes, cut: st.DataObject) -> None:
        """The same bytes, split differently between two items, give different challenges."""
        i, j = cut.draw(st.lists(st.integers(0, len(data)), min_size=2, max_size=2, unique=True))

        def split(at: int) -> F:
            transcript = Transcript()
            transcript.absorb(Tag.OPENINGS, data[:at])
            transcript.absorb(Tag.OPENINGS, data[at:])
            return transcript.challenge_element()

        assert split(i) != split(j)

    @pytest.mark.parametrize("changed", range(len(Tag)))
    @pytest.mark.parametrize("how", ["data", "longer", "tag", "missing"])
    def test_every_item_changes_all_later_challenges(self, changed: int, how: str) -> None:
        """A change of any absorbed item changes each later challenge element and the indices."""
        honest = [(tag, bytes([tag]) * 8) for tag in Tag]
        altered = list(honest)
        tag, data = honest[changed]
        if how == "missing":
            altered[changed : changed + 1] = []
        else:
            altered[changed] = {
                "data": (tag, b"\xff" + data[1:]),
                "longer": (tag, data + b"\0"),
                "tag": (Tag(tag % len(Tag) + 1), data),
            }[how]

        def log(absorbed: list[tuple[Tag, bytes]]) -> list[object]:
            transcript = Transcript()
            challenges: list[object] = []
            for item in absorbed:
                transcript.absorb(*item)
                challenges.append(transcript.challenge_element())
            return [*challenges, transcript.challenge_indices(8, 2**24)]

        before, after = log(honest), log(altered)
        assert before[:changed] == after[:changed]
        assert not set(map(str, before[changed:])) & set(map(str, after[changed:]))


class TestElements:
    def test_words_at_or_above_p_are_skipped(self) -> None:
        """The high bit is dropped, and what is not below p is skipped, never reduced."""
        script = [P, 0x7FFFFFFF, 0x80000005, 0xFFFFFFFF, P - 1, P + 1, 0, 0x80000000 | P, 7, 8, 9]
        assert Scripted(script).challenge_elements(1) == [F((5, P - 1, 0, 7, 8))]

    def test_elements_of_one_squeeze_are_consecutive(self) -> None:
        """Several elements take their coefficients one after another from one squeeze."""
        assert Scripted(list(range(10))).challenge_elements(2) == [F(range(5)), F(range(5, 10))]


class TestIndices:
    def test_collisions_are_skipped(self) -> None:
        """A value that is taken already is skipped, so that q distinct indices come out, sorted."""
        assert Scripted([13, 5, 5, 8 + 5, 1, 5, 1, 2]).challenge_indices(3, 8) == [1, 2, 5]

    def test_all_indices_can_be_asked_for(self) -> None:
        """q = M gives every index once."""
        assert Transcript().challenge_indices(64, 64) == list(range(64))

    @pytest.mark.parametrize(("q", "size"), [(1, 4), (2, 4), (3, 4), (2, 8)])
    def test_no_set_of_indices_is_preferred(self, q: int, size: int) -> None:
        """Over all scripts of five words that suffice, each set of q indices comes out equally often."""
        found: Counter[tuple[int, ...]] = Counter()
        for script in product(range(size), repeat=5):
            if len(set(script)) >= q:
                found[tuple(Scripted(list(script)).challenge_indices(q, size))] += 1
        assert set(found) == set(combinations(range(size), q))
        assert len(set(found.values())) == 1

    def test_only_low_bits_count(self) -> None:
        """An index is the low bits of a word."""
        assert Scripted([0xFFFFFFF0, 0x12345673]).challenge_indices(2, 16) == [0, 3]
