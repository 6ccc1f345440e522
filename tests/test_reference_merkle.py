"""The reference verifier's trees, domains, folds and DEEP polynomial."""

from __future__ import annotations

import random
from itertools import pairwise

import blake3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aprover.reference.blake3 import K_LEAF, K_NODE
from aprover.reference.domains import Domain, level_logs
from aprover.reference.field import ONE, ZERO, F, P, horner, inverse, w
from aprover.reference.fri import fold
from aprover.reference.merkle import cap_of, multiproof_holds, multiproof_length


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


# the levels of tables with these log kappa, and a blowup
LEVELS = [((3,), 1), ((3,), 3), ((4,), 2), ((6,), 1), ((9,), 2), ((9, 8), 1), ((9, 7), 2), ((8, 7, 3), 1)]


def levels(log_kappas: tuple[int, ...], log_blowup: int) -> list[Domain]:
    logs = level_logs(log_kappas)
    arities = [above - below for above, below in pairwise(logs)]
    return [Domain(logs[0], log_k, log_arity, log_blowup) for log_k, log_arity in zip(logs, [*arities, 0], strict=True)]


class TestDomains:
    @pytest.mark.parametrize(("log_kappas", "log_blowup"), LEVELS)
    def test_positions_are_all_points_of_the_coset(self, log_kappas: tuple[int, ...], log_blowup: int) -> None:
        """The positions of a level are, in some order, shift times the roots of unity of order n_t."""
        for domain in levels(log_kappas, log_blowup):
            shift, root = pow(31, 2 ** (domain.level_0 - domain.log_k), P), w(domain.log_n)
            points = {domain.point(position) for position in range(2**domain.log_n)}
            assert points == {shift * pow(root, e, P) % P for e in range(2**domain.log_n)}

    def test_order_of_positions(self) -> None:
        """Position j*k + i is g * w(log n)^j * w(log k)^i."""
        domain = Domain(4, 4, 3, 2)
        assert domain.point(0) == 31
        assert domain.point(1) == 31 * w(4) % P
        assert domain.point(16) == 31 * w(6) % P
        assert domain.point(3 * 16 + 5) == 31 * pow(w(6), 3, P) * pow(w(4), 5, P) % P

    @pytest.mark.parametrize(("log_kappas", "log_blowup"), LEVELS)
    def test_cosets_fold_to_their_own_index(self, log_kappas: tuple[int, ...], log_blowup: int) -> None:
        """A coset's points are x * w(a)^m, and their N-th power is the point of the coset's index one level down."""
        for domain, below in pairwise(levels(log_kappas, log_blowup)):
            for coset in range(2**domain.log_cosets):
                points = [domain.point(position) for position in domain.coset_positions(coset)]
                assert points == [points[0] * pow(w(domain.log_arity), m, P) % P for m in range(domain.arity)]
                assert pow(points[0], domain.arity, P) == below.point(coset)

    @pytest.mark.parametrize(("log_kappas", "log_blowup"), LEVELS)
    def test_cosets_partition_the_positions(self, log_kappas: tuple[int, ...], log_blowup: int) -> None:
        """Each position lies in one fold coset, as the member that coset_of says."""
        domain = levels(log_kappas, log_blowup)[0]
        seen = {}
        for coset in range(2**domain.log_cosets):
            for m, position in enumerate(domain.coset_positions(coset)):
                assert position not in seen
                seen[position] = coset, m
        assert len(seen) == 2**domain.log_n
        assert all(domain.coset_of(position) == found for position, found in seen.items())

    def test_levels_of_one_table(self) -> None:
        """At least one fold; then by 8 until at most 64 coefficients are left."""
        expected = {3: 1, 8: 1, 9: 1, 10: 2, 12: 2, 13: 3, 20: 5, 24: 6}
        assert {log_k: len(level_logs([log_k])) - 1 for log_k in expected} == expected

    @given(st.lists(st.integers(3, 26), min_size=1, max_size=6))
    def test_every_table_above_the_final_length_meets_a_level(self, log_kappas: list[int]) -> None:
        """Folds are by 2, 4 or 8, each as large as it can be without passing over a table; the last is the first at or
        below 64 coefficients."""
        logs = level_logs(log_kappas)
        assert logs[0] == max(log_kappas)
        assert logs[-1] <= 6 < min(logs[1:-1], default=7)
        assert {one for one in log_kappas if one > 6} <= set(logs)
        for above, below in pairwise(logs):
            assert 1 <= above - below <= 3
            assert above - below == 3 or below in log_kappas


class TestCap:
    @pytest.mark.parametrize("cap_log", range(4))
    def test_the_cap_is_a_level_of_the_tree(self, cap_log: int) -> None:
        """The cap of 2^cap_log nodes is that level of the tree over the leaves."""
        leaves = [bytes([i]) for i in range(8)]
        assert cap_of(leaves, cap_log) == tree(leaves)[3 - cap_log]


class TestFold:
    @pytest.mark.parametrize(("log_k", "log_arity"), [(3, 3), (4, 3), (6, 3), (4, 2), (5, 1)])
    def test_folds_the_polynomial(self, log_k: int, log_arity: int) -> None:
        """The fold of a coset of D's values is the value, one level down, of the sum of beta^e * D_e."""
        rng, arity = random.Random(log_k), 2**log_arity
        coefficients = [F(rng.randrange(P) for _ in range(5)) for _ in range(2**log_k)]
        beta = F(rng.randrange(P) for _ in range(5))
        folded = [horner(coefficients[i : i + arity], beta) for i in range(0, len(coefficients), arity)]
        domain, below = Domain(log_k, log_k, log_arity, 1), Domain(log_k, log_k - log_arity, 0, 1)
        for coset in range(2**domain.log_cosets):
            points = [domain.point(position) for position in domain.coset_positions(coset)]
            values = [horner(coefficients, F.of(x)) for x in points]
            assert fold(values, points[0], beta) == horner(folded, F.of(below.point(coset)))

    def test_is_interpolation(self) -> None:
        """The fold is Lagrange's interpolation through the points, taken at beta."""
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
