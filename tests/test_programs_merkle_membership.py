"""Merkle membership: the construction, proofs at all depths, and what is refused."""

from __future__ import annotations

import pickle
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from aprover.air.check import check, check_trace, fill_trace
from aprover.air.field import P
from aprover.air.program import describe
from aprover.errors import ConstraintError, ProgramError, VerificationCode
from aprover.programs import MerkleMembership
from aprover.programs.poseidon2 import compress, permute
from aprover.testing import find_underconstrained

from .programs_for_tests import SEED
from .support.proving import assert_both_reject, assert_unprovable, lying, proved_and_verified
from .test_programs_poseidon2 import VECTORS

Digest = tuple[int, ...]


def digests(count: int, seed: int = 1) -> list[Digest]:
    source = random.Random(seed)
    return [tuple(source.randrange(P) for _ in range(8)) for _ in range(count)]


def climb(leaf: Digest, path: tuple[Digest, ...], position: int) -> Digest:
    """The root, by the definition."""
    node = leaf
    for level, sibling in enumerate(path):
        state = [*sibling, *node] if position >> level & 1 else [*node, *sibling]
        node = tuple((a + b) % P for a, b in zip(state, permute(state), strict=True))[:8]
    return node


def membership(depth: int, position: int = 0, seed: int = 1) -> MerkleMembership:
    leaf, *path = digests(depth + 1, seed)
    return MerkleMembership(climb(leaf, tuple(path), position), leaf, tuple(path), position)


class TestCompression:
    @pytest.mark.parametrize(("state", "image"), VECTORS)
    def test_feeds_forward(self, state: list[int], image: list[int]) -> None:
        """The first half of the permutation's published vectors, plus the first half of the input."""
        expected = tuple((a + b) % P for a, b in zip(state[:8], image[:8], strict=True))
        assert compress(state[:8], state[8:]) == expected

    def test_is_not_symmetric(self) -> None:
        """Left and right matter."""
        assert compress(SEED[:8], SEED[8:]) != compress(SEED[8:], SEED[:8])


class TestProofs:
    @pytest.mark.parametrize(("depth", "position"), [(1, 0), (1, 1), (3, 5), (8, 0xA5), (9, 0x1FF)])
    def test_both_verifiers_accept(self, depth: int, position: int) -> None:
        """At depths that are a power of two and not, at the first position, the last and between."""
        program = membership(depth, position)
        proof = proved_and_verified(program)
        assert proof.statement.parameters == (("depth", depth),)
        assert proof.statement.public_inputs == (program.root,)

    def test_the_greatest_depth(self) -> None:
        """Forty levels in 64 rows."""
        program = membership(40, 0xA5A5A5A5A5)
        assert program.compiled().height == 64
        proved_and_verified(program)

    def test_another_root_is_rejected(self) -> None:
        """By both verifiers, whichever element differs."""
        program = membership(3, 2)
        proof = proved_and_verified(program)
        for i in (0, 7):
            root = list(program.root)
            root[i] = (root[i] + 1) % P
            assert_both_reject(proof, MerkleMembership, VerificationCode.QUOTIENT, public_inputs=(tuple(root),))

    def test_another_depth_is_rejected(self) -> None:
        """So an inner node does not pass for a leaf: the depth is part of what is proved."""
        proof = proved_and_verified(membership(3, 2))
        assert_both_reject(proof, MerkleMembership, VerificationCode.QUOTIENT, parameters=(("depth", 2),))

    @pytest.mark.parametrize("depth", [0, 41, -1, None, True])
    def test_a_depth_out_of_range_is_rejected(self, depth: Any) -> None:
        """Before any constraint is built."""
        proof = proved_and_verified(membership(1))
        assert_both_reject(proof, MerkleMembership, VerificationCode.PROGRAM, parameters=(("depth", depth),))

    @given(st.integers(1, 12), st.integers(0, 2**12 - 1), st.integers())
    @settings(max_examples=15)
    def test_every_position_has_a_trace(self, depth: int, position: int, seed: int) -> None:
        """The constraints hold for every depth, position and tree."""
        check(membership(depth, position % 2**depth, seed))


class TestSoundness:
    @pytest.mark.parametrize("depth", [1, 3, 8, 11])
    def test_no_cell_is_free(self, depth: int) -> None:
        """Each cell of each row is held by a constraint, padding included."""
        assert find_underconstrained(membership(depth, 1)) == ()

    def test_a_wrong_witness_cannot_be_proved(self) -> None:
        """Past its checks, the trace of a wrong leaf, path, position or root breaks a constraint."""
        program = membership(9, 0x155)
        other = digests(1, 2)[0]
        for changes in (
            {"leaf": other},
            {"path": (*program.path[:4], other, *program.path[5:])},
            {"position": 0x154},
            {"position": 0x055},
            {"root": other},
        ):
            assert_unprovable(lying(program, **changes))

    def test_the_root_stands_where_the_depth_says(self) -> None:
        """The error of a wrong root names the boundary and the last level's row."""
        with pytest.raises(ConstraintError) as caught:
            check(lying(membership(9), root=digests(1, 2)[0]))
        assert (caught.value.name, caught.value.row) == ("root 0", 8)

    def test_a_direction_that_is_no_bit(self) -> None:
        """Any point on the line through both children would pass for the leaf."""
        program = membership(3, 5)
        trace = fill_trace(program)[0]
        left, right = trace[0, 9:17].astype(int), trace[0, 17:25].astype(int)
        trace[0, 0] = 2
        trace[0, 1:9] = (2 * right - left) % P
        assert self.broken(program, trace) == ("right is boolean", 0)

    def test_a_level_of_another_tree(self) -> None:
        """Each node is the digest of the level below, not just some digest."""
        program, other = membership(3, 5), membership(3, 5, seed=2)
        trace = fill_trace(program)[0]
        trace[1] = fill_trace(other)[0][1]
        assert self.broken(program, trace) == ("climb 0", 0)
        trace[0] = fill_trace(other)[0][0]
        assert self.broken(program, trace) == ("climb 0", 1)

    @staticmethod
    def broken(program: MerkleMembership, trace: NDArray[np.uint32]) -> tuple[str, int]:
        air = program.compiled()
        with pytest.raises(ConstraintError) as caught:
            check_trace(describe(program), air, [trace], air.publics(program.statement()))
        return caught.value.name, caught.value.row


class TestTree:
    @pytest.mark.parametrize("depth", [1, 2, 4])
    def test_in_tree(self, depth: int) -> None:
        """Every leaf of a tree leads to the same root."""
        leaves = digests(2**depth)
        programs = [MerkleMembership.in_tree(leaves, i) for i in range(2**depth)]
        assert {program.root for program in programs} == {programs[0].root}
        assert [(p.leaf, p.position, p.depth) for p in programs] == [(leaf, i, depth) for i, leaf in enumerate(leaves)]
        assert programs[0].root == climb(leaves[0], programs[0].path, 0)

    @pytest.mark.parametrize("count", [0, 1, 3, 6])
    def test_a_wrong_number_of_leaves(self, count: int) -> None:
        """A tree is not filled up with leaves that everybody knows."""
        with pytest.raises(ProgramError, match="number of leaves"):
            MerkleMembership.in_tree(digests(count), 0)

    def test_a_wrong_leaf_or_position(self) -> None:
        """The error names it."""
        with pytest.raises(ProgramError, match=r"leaves\[1\]"):
            MerkleMembership.in_tree([(0,) * 8, (0,) * 7], 0)
        for position in (2, -1, True, "0"):
            with pytest.raises(ProgramError, match="position"):
                MerkleMembership.in_tree(digests(2), position)  # type: ignore[arg-type]


class TestRefusals:
    def refused(self, field: str, **changes: Any) -> None:
        program = membership(3, 5)
        fields: dict[str, Any] = {name: getattr(program, name) for name in ("root", "leaf", "path", "position")}
        with pytest.raises(ProgramError) as caught:
            MerkleMembership(**(fields | changes))
        assert caught.value.field == field
        for secret in (*program.leaf, *program.path[0]):
            assert str(secret) not in str(caught.value)
        assert caught.value.value is None or field == "root"

    def test_a_path_that_does_not_lead_to_the_root(self) -> None:
        """Named by its field, before proving, and without a private value."""
        program = membership(3, 5)
        self.refused("path", path=(program.path[1], program.path[0], program.path[2]))
        self.refused("path", leaf=digests(1, 2)[0])
        self.refused("path", position=4)
        self.refused("path", root=digests(1, 2)[0])
        self.refused("path", path=program.path[:2], position=1)

    @pytest.mark.parametrize("position", [8, -1, 2**40, True, "5", None])
    def test_a_position_outside_the_tree(self, position: Any) -> None:
        """The position has as many bits as the path has siblings."""
        self.refused("position", position=position)

    @pytest.mark.parametrize("path", [(), None, 5, [(0,) * 8], ((0,) * 7,), ((P,) + (0,) * 7,), ((0,) * 8,) * 41])
    def test_a_malformed_path(self, path: Any) -> None:
        """A path is a tuple of 1 to 40 digests."""
        self.refused("path", path=path, position=0)

    @pytest.mark.parametrize("digest", [(), (0,) * 9, [0] * 8, (P, *[0] * 7), (-1, *[0] * 7), None])
    def test_a_malformed_leaf_or_root(self, digest: Any) -> None:
        """A digest is a tuple of 8 ints below P."""
        self.refused("leaf", leaf=digest)
        self.refused("root", root=digest)

    def test_private_fields_are_not_shown(self) -> None:
        """Neither the repr nor the statement holds them."""
        program = membership(3, 5)
        text = repr(program) + repr(program.statement())
        assert not any(str(secret) in text for secret in (*program.leaf, *program.path[0]))


class TestInstances:
    def test_pickle(self) -> None:
        """The depth comes along."""
        program = membership(5, 9)
        assert pickle.loads(pickle.dumps(program)) == program
