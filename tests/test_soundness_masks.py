"""Zero-knowledge proofs: what masks do not loosen, and that what a proof reveals is covered by them (section 13)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import pytest

from aprover.reference.proof import Opening
from aprover.reference.verifier import verify_stark
from tests.support import lies
from tests.support import lookup_lies as looked
from tests.support import toy_field as tf
from tests.support.lies import FixedOpening, NearestLayer
from tests.support.toy_air import decode
from tests.support.toy_field import Array, P
from tests.support.toy_layout import Layout, Parameters, Place
from tests.support.toy_lie import Both, Lie
from tests.support.toy_programs import Instance, fibonacci, mixer, tribonacci
from tests.support.toy_prover import SALT_BYTES, Run, layer_points, positions_at, prove, prove_run
from tests.support.toy_tables import COUNT, RANGES, Sizes, ledger
from tests.support.verifiers import VERIFIERS, NativeError, native_prove

SCENES: dict[str, tuple[Instance, Parameters]] = {
    "one table": (mixer(5, 3), Parameters(2, 6, 2, 1, zk=True)),
    "short tables": (ledger(Sizes(3, 3, 3)), Parameters(2, 6, 0, 1, independent=True, zk=True)),
    "three levels": (ledger(Sizes(4, 3, 8, batch=2)), Parameters(1, 9, 2, 1, zk=True)),
}


def layout_of(name: str) -> Layout:
    instance, parameters = SCENES[name]
    return Layout(decode(instance.air), parameters)


def verdict(instance: Instance, proof: bytes) -> str | None:
    """What all verifiers say; they have to agree."""
    claim = instance.air, instance.publics, instance.statement
    codes = {verify(*claim, proof) for verify in VERIFIERS.values()}
    assert len(codes) == 1, codes
    return codes.pop()


def lied(name: str, lie: Lie | None) -> str | None:
    instance, parameters = SCENES[name]
    claim = instance.air, instance.publics, instance.statement
    return verdict(instance, prove(*claim, parameters.to_bytes(), instance.traces, lie))


def all_lies(name: str) -> list[tuple[str, Lie, str]]:
    """Each lie with the code that it must meet."""
    layout = layout_of(name)
    top = layout.tables_at(0)[0]
    cancelling = lies.CancellingChunkOpenings(top)
    told: list[tuple[str, Lie, str]] = [
        ("the quotient is random", lies.RandomQuotient(top), "QUOTIENT"),
        ("the quotient is shifted, and its opening made to fit", Both(lies.ShiftedQuotient(top), FixedOpening(0, top)),
         "FRI_FINAL"),
        ("a column is of high degree", lies.HighDegreeColumn(0, True, top), "FRI_FINAL"),
        ("the mask is of high degree", looked.HighDegreeMask(), "FRI_FINAL"),
        ("the mask has the coefficient of an opening", looked.MaskCoefficient(0), "DEEP"),
        ("FRI layer 0 is a random polynomial", lies.RandomLayer(0), "DEEP"),
        ("the final polynomial is altered", lies.AlteredFinal(0), "FRI_FINAL"),
        ("the nonce is wrong", lies.WrongNonce(), "GRINDING"),
    ]  # fmt: skip
    if layout.places[top].chunks > 1:
        told += [
            ("two openings are false and cancel", cancelling, "FRI_FINAL"),
            ("likewise, and layer 0 is low-degree", Both(cancelling, NearestLayer(0)), "DEEP"),
            ("likewise, and another mask than the committed one makes up for them", Both(cancelling, looked.LateMask()),
             "DEEP"),
        ]  # fmt: skip
    for phase in ("trace", "lookup", "quotient"):
        for t in layout.trees(phase):
            tree, code = f"{phase} {t}" if t else phase, f"{phase.upper()}_MERKLE"
            told += [(f"{tree}: byte {b} of a salt is changed", looked.ChangedSalt(tree, b), code) for b in (-1, -16)]
            told.append((f"{tree}: a value is changed", lies.ChangedLeaf(tree, 0, 0), code))
    if not layout.air.buses:
        told.append(("a step is wrong", lies.AlteredCell(1, 0), "QUOTIENT"))
    else:
        count = lies.AlteredCell(0, COUNT, RANGES)
        told.append(("a count is altered", count, "LOOKUP_SUM"))
        told.append(("a count is altered, and the sums made to fit", Both(count, looked.FittedSum(RANGES)), "QUOTIENT"))
    return told


CASES = [pytest.param(name, lie, code, id=f"{name}: {what}") for name in SCENES for what, lie, code in all_lies(name)]


class TestSoundness:
    """Masks are the prover's own; they loosen nothing."""

    @pytest.mark.parametrize("name", SCENES)
    def test_the_true_claim_is_accepted(self, name: str) -> None:
        assert lied(name, None) is None

    @pytest.mark.parametrize(("name", "lie", "code"), CASES)
    def test_a_lie_is_rejected_with_its_code(self, name: str, lie: Lie, code: str) -> None:
        """Both verifiers reject what a consistent liar proves with masks."""
        assert lied(name, lie) == code

    @pytest.mark.parametrize("name", SCENES)
    def test_a_proof_made_without_randomness_is_sound_all_the_same(self, name: str) -> None:
        """The flag says what the form is. All masks zero is a valid choice, and hides nothing."""
        instance, parameters = SCENES[name]
        claim = instance.air, instance.publics, instance.statement

        def none(shape: tuple[int, ...]) -> Array:
            return np.zeros(shape, dtype=np.uint64)

        proof = prove(*claim, parameters.to_bytes(), instance.traces, uniform=none)
        assert verdict(instance, proof) is None
        assert prove(*claim, parameters.to_bytes(), instance.traces, uniform=none) == proof

    @pytest.mark.parametrize("name", SCENES)
    def test_the_flag_cannot_be_changed(self, name: str) -> None:
        """A masked proof is none without the flag, nor the other way round."""
        instance, parameters = SCENES[name]
        claim = instance.air, instance.publics, instance.statement
        for zk in (True, False):
            given = dataclasses.replace(parameters, zk=zk)
            proof = bytearray(prove(*claim, given.to_bytes(), instance.traces))
            proof[3] ^= 2
            assert verdict(instance, bytes(proof)) is not None

    def test_a_false_claim_is_not_proved(self) -> None:
        """The C prover's own check at z holds with masks too."""
        instance = fibonacci(5)
        with pytest.raises(NativeError):
            native_prove(instance.replace(publics=[0, 1, 5]), Parameters(3, 5, zk=True).to_bytes())


def rank(rows: Sequence[Sequence[int]]) -> int:
    """Of a matrix over Fp."""
    matrix = [list(row) for row in rows]
    found = 0
    for column in range(len(matrix[0]) if matrix else 0):
        pivot = next((i for i in range(found, len(matrix)) if matrix[i][column]), None)
        if pivot is None:
            continue
        matrix[found], matrix[pivot] = matrix[pivot], matrix[found]
        scale = pow(matrix[found][column], P - 2, P)
        matrix[found] = [value * scale % P for value in matrix[found]]
        for i in range(len(matrix)):
            if i != found and matrix[i][column]:
                factor = matrix[i][column]
                matrix[i] = [(a - factor * b) % P for a, b in zip(matrix[i], matrix[found], strict=True)]
        found += 1
    return found


def at_point(x: int, exponents: Sequence[int], factor: int = 1) -> list[int]:
    """factor * x^e for each e: what one value of the base field tells of coefficients."""
    return [factor * pow(x, e, P) % P for e in exponents]


def at_z(z: Array, exponents: Sequence[int], factor: Array) -> list[list[int]]:
    """Five functionals: the coefficients of factor * z^e."""
    powers = tf.mul(tf.ext_powers(z, max(exponents) + 1)[list(exponents)], factor)
    return [[int(value) for value in row] for row in powers.T]


@functools.lru_cache(maxsize=16)
def masked_run(name: str) -> Run:
    instance, parameters = RANK_SCENES[name]
    claim = instance.air, instance.publics, instance.statement
    return prove_run(*claim, parameters.to_bytes(), instance.traces)[1]


RANK_SCENES = SCENES | {
    "four rows read": (tribonacci(4), Parameters(1, 5, zk=True)),
    "all positions of a coset": (fibonacci(3), Parameters(1, 16, zk=True)),
}


class TestHiding:
    """What a proof reveals of each column is fewer independent functionals than there are masks for."""

    def _revealed_points(self, run: Run, place: Place) -> list[int]:
        """The opened positions of a table's level, and the rows after them that enter the quotient there."""
        points = layer_points(run, place.level)
        opened = [int(points[i]) for i in positions_at(run, place.level, run.indices)]
        root = tf.root(place.table.log_height)
        return sorted({x * pow(root, o, P) % P for x in opened for o in range(place.table.rows_read)})

    @pytest.mark.parametrize("name", RANK_SCENES)
    def test_columns(self, name: str) -> None:
        """For f + V*r with `deg r < R`: the values at the opened positions and at the rows after them, and the values
        out of domain, are independent functionals of r, so that they are uniform whatever f is."""
        run = masked_run(name)
        for place in run.layout.places:
            k, exponents = place.table.height, range(place.masks)
            rows = [at_point(x, exponents, pow(x, k, P) - 1) for x in self._revealed_points(run, place)]
            for o in range(place.table.rows_read):
                z = run.z * np.uint64(pow(tf.root(place.table.log_height), o, P)) % np.uint64(P)
                rows += at_z(z, exponents, tf.sub(tf.ext_power(z, k), tf.ONE))
            assert len(rows) <= place.masks
            assert rank(rows) == len(rows)

    @pytest.mark.parametrize("name", RANK_SCENES)
    def test_chunks(self, name: str) -> None:
        """For Q_j + x^m * b_j - b_{j-1}: the values of all chunks but the last, at the opened positions and at z, are
        independent functionals of the masks b."""
        run = masked_run(name)
        for place in run.layout.places:
            points = layer_points(run, place.level)
            opened = [int(points[i]) for i in positions_at(run, place.level, run.indices)]
            shifted = range(place.stride, place.stride + place.masks)
            # block lower triangular in j, with this matrix on the diagonal
            rows = [at_point(x, shifted) for x in opened] + at_z(run.z, shifted, tf.ONE)
            assert rank(rows) == len(rows) <= place.masks

    @pytest.mark.parametrize("name", RANK_SCENES)
    def test_layers(self, name: str) -> None:
        """The mask is committed at level 0, in full length. The values of a layer at the opened fold cosets do not
        determine it where words of lower levels are added to what it folds to; so these are masked by it too."""
        run = masked_run(name)
        assert len(run.mask) == run.k(0)
        lowest = max(place.level for place in run.layout.places)
        for t in range(lowest):
            opened = len(positions_at(run, t + 1, run.indices)) << run.layout.log_arity(t)
            assert opened < run.k(t)

    def test_masks_are_as_many_as_are_needed(self) -> None:
        """The functionals of a column are exactly R = o * (q + 5), less one for each opened position that follows
        another: it is drawn at random whether there is one."""
        run = masked_run("one table")
        (place,) = run.layout.places
        opened = {int(x) for x in layer_points(run, place.level)[positions_at(run, place.level, run.indices)]}
        followers = {x * int(tf.root(place.table.log_height)) % P for x in opened}
        count = len(self._revealed_points(run, place)) + len(opened & followers) + 5 * place.table.rows_read
        assert len(opened) == run.parameters.queries
        assert count == place.masks == place.table.rows_read * (run.parameters.queries + 5)

    def test_without_masks_openings_tell_the_trace(self) -> None:
        """In a proof that is not zero-knowledge, opened rows are linear functions of the trace: enough of them give all
        of it."""
        instance = fibonacci(3)
        claim = instance.air, instance.publics, instance.statement
        parameters = Parameters(1, 2)
        _, run = prove_run(*claim, parameters.to_bytes(), instance.traces)
        coset = run.indices[0]
        leaf = np.frombuffer(run.trees["trace"].leaves[coset], dtype="<u4").astype(np.uint64)
        points = layer_points(run, 0).reshape(-1, 8)[coset]
        for column, values in enumerate(leaf.reshape(2, 8)):  # at the eight points of one fold coset
            coefficients = tf.lagrange(points, tf.lift(values))[:, 0]
            assert np.array_equal(tf.evaluate(coefficients, 1, 3), instance.traces[0][:, column])


class TestRandomness:
    """Each proof has its own, and all of it."""

    def _leaves(self, name: str, proofs: int = 3) -> list[dict[str, list[bytes]]]:
        instance, parameters = SCENES[name]
        claim = instance.air, instance.publics, instance.statement
        runs = [prove_run(*claim, parameters.to_bytes(), instance.traces)[1] for _ in range(proofs)]
        return [{tree: run.trees[tree].leaves for tree in run.trees} for run in runs]

    @pytest.mark.parametrize("name", SCENES)
    def test_two_proofs_of_one_statement_share_no_salt(self, name: str) -> None:
        """Nor do two leaves of one proof; nor do the proofs share a leaf's values."""
        salts: set[bytes] = set()
        count = 0
        for trees in self._leaves(name):
            for tree, leaves in trees.items():
                if not tree.startswith(("fri", "preprocessed")):
                    salts |= {leaf[-SALT_BYTES:] for leaf in leaves}
                    count += len(leaves)
        assert len(salts) == count

    @pytest.mark.parametrize("name", SCENES)
    def test_the_c_prover_shares_none_either(self, name: str) -> None:
        """Ten proofs by the C prover of one statement open no two leaves with the same salt or the same values."""
        instance, parameters = SCENES[name]
        leaves = [
            leaf
            for _ in range(10)
            for code, opened in opened_leaves(instance, native_prove(instance, parameters.to_bytes()))
            if code not in ("PREPROCESSED_MERKLE", "FRI_MERKLE")
            for leaf in opened.values()
        ]
        assert len({salt for _, salt in leaves}) == len({values for values, _ in leaves}) == len(leaves)

    @pytest.mark.parametrize("name", SCENES)
    def test_the_c_prover_takes_all_randomness_from_the_entropy(self, name: str) -> None:
        """With the same 32 bytes it makes the same proof, with others another."""
        instance, parameters = SCENES[name]
        first, again, other = (
            native_prove(instance, parameters.to_bytes(), entropy=bytes([i]) * 32) for i in (1, 1, 2)
        )
        assert first == again != other
        assert verdict(instance, first) is verdict(instance, other) is None

    def test_the_c_prover_masks_every_column(self) -> None:
        """From openings and the trace, the values r(x) = (opened value - f(x)) / V(x) of each column's mask follow.

        They are uniform: never twice the same, and evenly spread.
        """
        instance, parameters = mixer(5, 3), Parameters(2, 6, zk=True)
        (place,) = Layout(decode(instance.air), parameters).places
        log_n = place.log_length + parameters.log_blowup
        points = tf.to_positions(tf.powers(tf.root(log_n), 1 << log_n) * 31 % P, 1 << parameters.log_blowup)
        coefficients = tf.interpolate(instance.traces[0], 1)
        seen: list[int] = []
        for _ in range(25):
            opened = dict(opened_leaves(instance, native_prove(instance, parameters.to_bytes())))["TRACE_MERKLE"]
            for position, (row, _) in opened.items():
                x = int(points[position])
                inverse = pow(pow(x, place.table.height, P) - 1, P - 2, P)
                for column, value in enumerate(row):
                    true = sum(int(c) * pow(x, e, P) for e, c in enumerate(coefficients[:, column])) % P
                    seen.append((value - true) * inverse % P)
        assert len(set(seen)) == len(seen) == 25 * 6 * 3
        eighths = np.bincount(np.array(seen) * 8 // P, minlength=8)
        expected = len(seen) / 8
        assert ((eighths - expected) ** 2 / expected).sum() < 35  # 7 degrees of freedom, p about 1e-5


def opened_leaves(instance: Instance, proof: bytes) -> list[tuple[str, dict[int, tuple[tuple[int, ...], bytes]]]]:
    """The opened leaves of every tree, values and salt by index, with the code of the tree, as the reference verifier
    reads them from a good proof."""
    found: list[tuple[str, dict[int, tuple[tuple[int, ...], bytes]]]] = []
    original = Opening.check

    def check(self: Opening, cap: bytes, code: str) -> None:
        found.append((code, {index: (leaf, self.salts[index]) for index, leaf in self.leaves.items()}))
        original(self, cap, code)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Opening, "check", check)
        verify_stark(instance.air, instance.publics, instance.statement, proof)
    return found
