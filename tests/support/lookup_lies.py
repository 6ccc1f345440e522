"""Lies for the slow prover about buses, lookup sums, preprocessed columns, heights and masks; see lies."""

# ruff: noqa: ARG002 - hooks have the signatures of `Lie`, whatever they use

from __future__ import annotations

import dataclasses

import numpy as np

from tests.support import toy_field as tf
from tests.support import toy_prover as tp
from tests.support.toy_field import DEGREE, Array
from tests.support.toy_lie import Lie
from tests.support.toy_prover import Run

# ---- sums and running sums ----


@dataclasses.dataclass(frozen=True)
class FittedSum(Lie):
    """The sum of one table is sent as what makes the sums of all add up to zero. QUOTIENT."""

    table: int

    def sums(self, run: Run, sums: Array) -> Array:
        claimed = sums.copy()
        claimed[self.table] = tf.sub(claimed[self.table], tf.ext_sum(sums))
        return claimed


@dataclasses.dataclass(frozen=True)
class FittedTotal(Lie):
    """Likewise, and the running sum is made with it, so that it breaks only where it goes round. QUOTIENT.

    The table must be the last one with interactions.
    """

    table: int

    def total(self, run: Run, table: int, sigma: Array) -> Array:
        return tf.sub(tf.ZERO, tf.ext_sum(run.sums[:table])) if table == self.table else sigma


@dataclasses.dataclass(frozen=True)
class OppositeSums(Lie):
    """The sums of two tables are false by opposite amounts. QUOTIENT."""

    first: int
    second: int
    component: int = 0

    def sums(self, run: Run, sums: Array) -> Array:
        claimed, amount = sums.copy(), tf.unit(self.component)
        claimed[self.first] = tf.add(claimed[self.first], amount)
        claimed[self.second] = tf.sub(claimed[self.second], amount)
        return claimed


@dataclasses.dataclass(frozen=True)
class FalseSum(Lie):
    """The sum of one table is off by one in one component. LOOKUP_SUM."""

    table: int
    component: int = 0

    def sums(self, run: Run, sums: Array) -> Array:
        claimed = sums.copy()
        claimed[self.table] = tf.add(claimed[self.table], tf.unit(self.component))
        return claimed


@dataclasses.dataclass(frozen=True)
class AlteredLookup(Lie):
    """A lookup column is off by one, in one component, from a row on, or only in that row. QUOTIENT."""

    table: int
    column: int
    row: int
    onwards: bool = False
    component: int = 0

    def lookups(self, run: Run, table: int, values: Array) -> Array:
        if table != self.table:
            return values
        altered = values.copy()
        end = len(values) if self.onwards else self.row + 1
        altered[self.row : end, self.column] = tf.add(altered[self.row : end, self.column], tf.unit(self.component))
        return altered


@dataclasses.dataclass(frozen=True)
class ForgivenRow(Lie):
    """The sums are made to fit by `FittedTotal`, and the running sum of the last table makes the jump in one row, not
    where it goes round. QUOTIENT."""

    table: int
    row: int

    def total(self, run: Run, table: int, sigma: Array) -> Array:
        return FittedTotal(self.table).total(run, table, sigma)

    def lookups(self, run: Run, table: int, values: Array) -> Array:
        if table != self.table:
            return values
        true = tf.ext_sum(tf.ext_sum(np.stack(tp.row_fractions(run, table))))
        missing = tf.sub(tf.sub(tf.ZERO, tf.ext_sum(run.sums[:table])), true)
        altered = values.copy()
        altered[self.row :, -1] = tf.add(altered[self.row :, -1], missing)
        return altered


# ---- preprocessed columns ----


@dataclasses.dataclass(frozen=True)
class OtherPreprocessed(Lie):
    """One preprocessed value is another, in everything that the prover commits, computes and opens.

    The verifier's cap is absorbed if `quiet`, and then the openings do not lead to it: PREPROCESSED_MERKLE. Else the
    prover absorbs the cap of its own columns: QUOTIENT, for other challenges.
    """

    table: int
    column: int
    row: int
    value: int
    quiet: bool = True

    def preprocessed(self, run: Run, table: int, values: Array) -> Array:
        if table != self.table:
            return values
        altered = values.copy()
        altered[self.row, self.column] = self.value
        return altered

    def cap(self, run: Run, tree: str, cap: bytes) -> bytes:
        level = run.layout.places[self.table].level
        if not self.quiet or tree != tp.tree_name("preprocessed", level):
            return cap
        columns = []
        for i in run.layout.tables_at(level):
            one = run.air.tables[i]
            values = tf.array(one.preprocessed).reshape(-1, one.height).T
            columns.append(tp.lde(run, level, tf.interpolate(values, 1)))
        honest = dataclasses.replace(run, trees={}, caps={})
        in_cosets = run.layout.narrow and level == 0
        return tp.commit(honest, Lie(), tree, level, np.concatenate(columns, axis=1), in_cosets)


# ---- heights ----


@dataclasses.dataclass(frozen=True)
class RestartedWeights(Lie):
    """The powers of alpha begin again with each table. QUOTIENT, in the second table."""

    def weights(self, run: Run, table: int, weights: Array) -> Array:
        return tf.ext_powers(run.alpha, len(weights))


@dataclasses.dataclass(frozen=True)
class Unweighted(Lie):
    """The word of a lower level is added without the power of beta. FRI_FOLD, or FRI_FINAL at the last level."""

    level: int

    def entering(self, run: Run, t: int, word: Array) -> Array:
        if t != self.level:
            return word
        power = tf.ext_power(run.betas[-1], 1 << run.layout.log_arity(t - 1))
        return tf.mul(tf.ext_inverse(power), word)


@dataclasses.dataclass(frozen=True)
class LeftOut(Lie):
    """The word of a level is not added at all. DEEP at level 0, FRI_FOLD, or FRI_FINAL at the last level."""

    level: int

    def entering(self, run: Run, t: int, word: Array) -> Array:
        return np.zeros_like(word) if t == self.level else word


@dataclasses.dataclass(frozen=True)
class CancelledBelow(Lie):
    """An opening of a table at level 0 is false, and the word of a lower level has the opposite error, so that the
    layer in which the two meet is of low degree. FRI_FOLD, or FRI_FINAL at the last level."""

    index: int
    level: int

    def openings(self, run: Run, openings: Array) -> Array:
        claimed = openings.copy()
        claimed[self.index] = tf.add(claimed[self.index], tf.ONE)
        return claimed

    def entering(self, run: Run, t: int, word: Array) -> Array:
        if t != self.level:
            return word
        # the error of D_0 is that of one opening, folded down to this level
        true = dataclasses.replace(run, openings=run.openings.copy())
        true.openings[self.index] = tf.sub(true.openings[self.index], tf.ONE)
        error = tf.sub(tp.deep_word(run, 0), tp.deep_word(true, 0))
        for s in range(t):
            error = tp.fold(run, s, error, run.betas[s])
        power = tf.ext_power(run.betas[-1], 1 << run.layout.log_arity(t - 1))
        return tf.sub(word, tf.mul(tf.ext_inverse(power), error))


# ---- masks ----


@dataclasses.dataclass(frozen=True)
class MaskCoefficient(Lie):
    """The mask enters with another coefficient than its own, that of an opening. DEEP."""

    index: int = 0

    def lambdas(self, run: Run, lambdas: Array) -> Array:
        chosen = lambdas.copy()
        chosen[-1] = chosen[self.index]
        return chosen


@dataclasses.dataclass(frozen=True)
class LateMask(Lie):
    """The mask that enters is not the committed one but makes up for openings that are false. DEEP."""

    def entering(self, run: Run, t: int, word: Array) -> Array:
        return tp.deep_word(dataclasses.replace(run, openings=tp.out_of_domain(run)), 0) if t == 0 else word


@dataclasses.dataclass(frozen=True)
class HighDegreeMask(Lie):
    """The mask has degree k_0. FRI_FINAL."""

    def leaves(self, run: Run, tree: str, leaves: list[bytes]) -> list[bytes]:
        if tree != "quotient":
            return leaves
        extra = np.zeros((run.k() + 1, DEGREE), dtype=np.uint64)
        extra[-1] = tf.ONE
        run.mask = np.concatenate([run.mask, np.zeros((1, DEGREE), dtype=np.uint64)])
        run.mask = tf.add(run.mask, extra)
        words = tp.lde(run, 0, run.mask).astype("<u4")
        size = len(leaves[0]) - tp.SALT_BYTES - 4 * DEGREE
        return [
            leaf[:size] + word.tobytes() + leaf[size + 4 * DEGREE :] for leaf, word in zip(leaves, words, strict=True)
        ]


@dataclasses.dataclass(frozen=True)
class ChangedSalt(Lie):
    """One byte of one opened leaf's salt is not the committed one. TRACE_MERKLE, LOOKUP_MERKLE or QUOTIENT_MERKLE."""

    tree: str
    byte: int = -1

    def opened(self, run: Run, tree: str, indices: list[int], leaves: list[bytes]) -> list[bytes]:
        if tree != self.tree:
            return leaves
        changed = bytearray(leaves[-1])
        changed[self.byte] ^= 1
        return [*leaves[:-1], bytes(changed)]
