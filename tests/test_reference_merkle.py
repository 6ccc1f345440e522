"""The reference verifier's trees, domains, folds and DEEP polynomial."""

from __future__ import annotations

import random

import blake3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aprover.reference.blake3 import K_LEAF, K_NODE
from aprover.reference.domains import Domain, folds
from aprover.reference.field import ONE, ZERO, F, P, horner, inverse, w
from aprover.reference.fri import fold
from aprover.reference.merkle import multiproof_holds, multiproof_length


def tree(leaves: list[bytes]) -> list[list[bytes]]:
    """All levels of a tree, leaves' digests first, hashed with the blake3 package."""
    levels = [[blake3.blake3(leaf, key=K_LEAF).digest() for leaf in leaves]]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([blake3.blake3(below[i] + below[i + 1], key=K_NODE).digest() for i in range(0, len(below), 2)])
    return levels


def multiproof(levels: list[list[bytes]], height: int, indices: list[int]) -> list[bytes]:
    """The digests of section 6's multi-proof, for a cap `height` levels above the leaves."""
    digests, known = [], sorted(indices)
    for level in levels[:height]:
        digests += [level[i ^ 1] for i in known if i ^ 1 not in known]
        known = sorted({i // 2 for i in known})
    return digests


@st.composite
def opened_trees(draw: st.DrawFn) -> tuple[list[bytes], int, list[int]]:
    """Leaves, the number of levels below the cap, and sorted distinct indices."""
    depth = draw(st.integers(0, 5))
    levels = draw(st.integers(0, depth))
    indices = draw(st.sets(st.integers(0, 2**depth - 1), min_size=1))
    leaves = [bytes([i]) * (1 + i % 3) for i in range(2**depth)]
    return leaves, levels, sorted(indices)


class TestMultiProof:
    @given(opened_trees())
    def test_honest_proofs_hold(self, case: tuple[list[bytes], int, list[int]]) -> None:
        """An honest multi-proof has the length that follows from its indices, and holds."""
        leaves, levels, indices = case
        nodes = tree(leaves)
        digests = multiproof(nodes, levels, indices)
        assert len(digests) == multiproof_length(indices, levels)
        assert multiproof_holds(nodes[levels], levels, {i: leaves[i] for i in indices}, digests)

    @given(opened_trees(), st.data())
    def test_any_change_breaks_it(self, case: tuple[list[bytes], int, list[int]], data: st.DataObject) -> None:
        """A change of one opened leaf, whichever of its group, of one digest, or of a cap node in use is seen."""
        leaves, levels, indices = case
        nodes = tree(leaves)
        cap, digests = nodes[levels], multiproof(nodes, levels, indices)
        opened = {i: leaves[i] for i in indices}
        victim = data.draw(st.sampled_from(indices))
        assert not multiproof_holds(cap, levels, {**opened, victim: opened[victim] + b"\0"}, digests)
        for n in range(len(digests)):
            assert not multiproof_holds(cap, levels, opened, [*digests[:n], bytes(32), *digests[n + 1 :]])
        bad_cap = [bytes(32) if n == victim >> levels else node for n, node in enumerate(cap)]
        assert not multiproof_holds(bad_cap, levels, opened, digests)

    def test_a_node_is_no_leaf(self) -> None:
        """The two digests below a node, given as the bytes of a leaf one level higher, do not hash to that node."""
        leaves = [bytes([i]) for i in range(8)]
        nodes = tree(leaves)
        forged = {0: nodes[0][0] + nodes[0][1]}
        assert not multiproof_holds(nodes[3], 2, forged, [nodes[1][1], nodes[2][1]])

    def test_exchanged_leaves_are_seen(self) -> None:
        """Two opened siblings cannot change places."""
        leaves = [bytes([i]) for i in range(8)]
        nodes = tree(leaves)
        digests = multiproof(nodes, 3, [2, 3])
        assert multiproof_holds(nodes[3], 3, {2: leaves[2], 3: leaves[3]}, digests)
        assert not multiproof_holds(nodes[3], 3, {2: leaves[3], 3: leaves[2]}, digests)


DOMAINS = [(3, 1), (3, 3), (4, 2), (6, 1), (9, 2)]


class TestDomains:
    @pytest.mark.parametrize(("log_k", "log_blowup"), DOMAINS)
    def test_positions_are_all_points_of_the_coset(self, log_k: int, log_blowup: int) -> None:
        """The positions of a layer are, in some order, shift times the roots of unity of order n_t."""
        for layer in range(folds(log_k) + 1):
            domain = Domain(log_k, log_blowup, layer)
            shift, root = pow(31, 8**layer, P), w(domain.log_n_t)
            points = {domain.point(position) for position in range(2**domain.log_n_t)}
            assert points == {shift * pow(root, e, P) % P for e in range(2**domain.log_n_t)}

    def test_order_of_positions(self) -> None:
        """Position j*k + i is g * w(log n)^j * w(log k)^i."""
        domain = Domain(4, 2)
        assert domain.point(0) == 31
        assert domain.point(1) == 31 * w(4) % P
        assert domain.point(16) == 31 * w(6) % P
        assert domain.point(3 * 16 + 5) == 31 * pow(w(6), 3, P) * pow(w(4), 5, P) % P

    @pytest.mark.parametrize(("log_k", "log_blowup"), DOMAINS)
    def test_octets_fold_to_their_own_index(self, log_k: int, log_blowup: int) -> None:
        """An octet's points are x * w(3)^m, and their eighth power is the point of the octet's index one layer up."""
        for layer in range(folds(log_k)):
            domain, above = Domain(log_k, log_blowup, layer), Domain(log_k, log_blowup, layer + 1)
            for octet in range(2**domain.log_octets):
                points = [domain.point(position) for position in domain.octet_positions(octet)]
                assert points == [points[0] * pow(w(3), m, P) % P for m in range(8)]
                assert pow(points[0], 8, P) == above.point(octet)

    @pytest.mark.parametrize(("log_k", "log_blowup"), DOMAINS)
    def test_octets_partition_the_positions(self, log_k: int, log_blowup: int) -> None:
        """Each position lies in one octet, as the member that octet_of says."""
        domain = Domain(log_k, log_blowup)
        seen = {}
        for octet in range(2**domain.log_octets):
            for m, position in enumerate(domain.octet_positions(octet)):
                assert position not in seen
                seen[position] = octet, m
        assert len(seen) == 2**domain.log_n_t
        assert all(domain.octet_of(position) == found for position, found in seen.items())

    def test_number_of_folds(self) -> None:
        """At least one fold; then by 8 until at most 64 coefficients are left."""
        expected = {3: 1, 8: 1, 9: 1, 10: 2, 12: 2, 13: 3, 20: 5, 24: 6}
        assert {log_k: folds(log_k) for log_k in expected} == expected


class TestFold:
    @pytest.mark.parametrize("log_k", [3, 4, 6])
    def test_folds_the_polynomial(self, log_k: int) -> None:
        """The fold of an octet of D's values is the value, one layer up, of the sum of beta^e * D_e."""
        rng = random.Random(log_k)
        coefficients = [F(rng.randrange(P) for _ in range(5)) for _ in range(2**log_k)]
        beta = F(rng.randrange(P) for _ in range(5))
        folded = [horner(coefficients[i : i + 8], beta) for i in range(0, len(coefficients), 8)]
        domain, above = Domain(log_k, 1), Domain(log_k, 1, 1)
        for octet in range(2**domain.log_octets):
            points = [domain.point(position) for position in domain.octet_positions(octet)]
            values = [horner(coefficients, F.of(x)) for x in points]
            assert fold(values, points[0], beta) == horner(folded, F.of(above.point(octet)))

    def test_is_interpolation(self) -> None:
        """The fold is Lagrange's interpolation through the eight points, taken at beta."""
        rng = random.Random(8)
        x, beta = rng.randrange(1, P), F(rng.randrange(P) for _ in range(5))
        points = [x * pow(w(3), m, P) % P for m in range(8)]
        values = [F(rng.randrange(P) for _ in range(5)) for _ in points]
        total = ZERO
        for a, value in zip(points, values, strict=True):
            term = value
            for b in points:
                if a != b:
                    term = term * (beta - F.of(b)).scale(inverse(a - b))
            total = total + term
        assert fold(values, x, beta) == total
        assert fold([ONE] * 8, x, beta) == ONE
