"""Lies for the toy prover.

Falsehoods make the claim false; covers hide a falsehood from one check and leave it to a later one. Each lie says which
code of docs/protocol.md section 9 it must meet (alone, told about an otherwise true claim; a falsehood that is covered
meets the code of its last cover).
"""

# ruff: noqa: ARG002 - hooks have the signatures of `Lie`, whatever they use

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Sequence

import numpy as np

from tests.support import toy_field as tf
from tests.support import toy_prover as tp
from tests.support.toy_commit import K_LEAF, K_NODE, Transcript
from tests.support.toy_field import DEGREE, Array, P
from tests.support.toy_lie import Lie
from tests.support.toy_prover import Run


def random_elements(seed: object, count: int) -> Array:
    """`count` extension elements from a seed: (count, 5)."""
    rng = random.Random(str(seed))
    return tf.array([rng.randrange(P) for _ in range(DEGREE * count)]).reshape(count, DEGREE)


# ---- falsehoods ----


@dataclasses.dataclass(frozen=True)
class AlteredCell(Lie):
    """One trace cell is not what the constraints allow. QUOTIENT, or LOOKUP_SUM if a bus is out of balance by it."""

    row: int
    column: int = 0
    table: int = 0

    def trace(self, run: Run, table: int, trace: Array) -> Array:
        if table != self.table:
            return trace
        altered = trace.copy()
        altered[self.row, self.column] = (int(altered[self.row, self.column]) + 1) % P
        return altered


@dataclasses.dataclass(frozen=True)
class Omitted(Lie):
    """A constraint is left out of the quotient (its broken trace comes with the instance). QUOTIENT."""

    constraint: int
    table: int = 0

    def weights(self, run: Run, table: int, weights: Array) -> Array:
        if table != self.table:
            return weights
        chosen = weights.copy()
        chosen[self.constraint] = 0
        return chosen


@dataclasses.dataclass(frozen=True)
class SharedCoefficient(Lie):
    """Two constraints of a table get one coefficient, so that errors of opposite amounts cancel. QUOTIENT."""

    first: int
    second: int
    table: int = 0

    def weights(self, run: Run, table: int, weights: Array) -> Array:
        if table != self.table:
            return weights
        chosen = weights.copy()
        chosen[self.second] = chosen[self.first]
        return chosen


@dataclasses.dataclass(frozen=True)
class OtherPeriodics(Lie):
    """The quotient is computed with periodic columns of the prover's choice. QUOTIENT."""

    values: tuple[tuple[int, ...], ...]

    def periodics(self, run: Run, table: int, values: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        assert [len(v) for v in self.values] == [len(v) for v in values]
        return self.values


@dataclasses.dataclass(frozen=True)
class HighDegreeColumn(Lie):
    """A column's word is not of low degree: `(x^k - 1) * R(x)` is added, so that its values on the trace domain stay.

    R makes the degree lambda + 1, the least that breaks the bound of section 10, or is random (degree n - 1). The
    identity at z holds all the same. FRI_FINAL.
    """

    column: int = 0
    least: bool = False
    table: int = 0

    def columns(self, run: Run, table: int, columns: Array) -> Array:
        if table != self.table:
            return columns
        place = run.layout.places[table]
        k, n = place.table.height, run.n(place.level)
        factor = np.zeros(n - k, dtype=np.uint64)
        if self.least:
            factor[place.length - k + 1] = 1
        else:
            factor[:] = random_elements(self, n - k)[:, 0]
        wide = np.zeros((n, columns.shape[1]), dtype=np.uint64)
        wide[: len(columns)] = columns
        wide[k:, self.column] = tf.add(wide[k:, self.column], factor)
        wide[: n - k, self.column] = tf.sub(wide[: n - k, self.column], factor)
        return wide


@dataclasses.dataclass(frozen=True)
class RandomQuotient(Lie):
    """Low-degree chunks that have nothing to do with the trace. QUOTIENT."""

    table: int = 0

    def chunks(self, run: Run, table: int, chunks: list[Array]) -> list[Array]:
        length = run.layout.places[table].length
        return chunks if table != self.table else [random_elements((self, j), length) for j in range(len(chunks))]


@dataclasses.dataclass(frozen=True)
class ShiftedQuotient(Lie):
    """Chunk 0 is off by a constant. QUOTIENT."""

    table: int = 0

    def chunks(self, run: Run, table: int, chunks: list[Array]) -> list[Array]:
        if table != self.table:
            return chunks
        first = chunks[0].copy()
        first[0] = tf.add(first[0], tf.ONE)
        return [first, *chunks[1:]]


@dataclasses.dataclass(frozen=True)
class PointwiseQuotient(Lie):
    """The quotient as a rational function: its values on its level's domain all go into chunk 0, so that the identity
    holds at every point that a verifier could look at, whatever the trace is. QUOTIENT."""

    table: int = 0

    def chunks(self, run: Run, table: int, chunks: list[Array]) -> list[Array]:
        if table != self.table:
            return chunks
        level = run.layout.places[table].level
        shift = tp.level_shift(run, level)
        values = tp.quotient_values(run, Lie(), table, shift, run.layout.log_n(level))
        zero = np.zeros((run.k(level), DEGREE), dtype=np.uint64)
        return [tf.interpolate(values, shift)] + [zero] * (len(chunks) - 1)


@dataclasses.dataclass(frozen=True)
class FalseOpening(Lie):
    """One out-of-domain value is off by one in one component. QUOTIENT (if the identity reads it)."""

    index: int
    component: int = 0

    def openings(self, run: Run, openings: Array) -> Array:
        claimed = openings.copy()
        claimed[self.index] = tf.add(claimed[self.index], tf.unit(self.component))
        return claimed


@dataclasses.dataclass(frozen=True)
class CancellingChunkOpenings(Lie):
    """`Q_0(z) - z^m` and `Q_1(z) + 1`: both false, and the identity holds. FRI_FINAL."""

    table: int = 0

    def openings(self, run: Run, openings: Array) -> Array:
        claimed, first = openings.copy(), run.first_chunk_opening(self.table)
        u = tf.ext_power(run.z, run.layout.places[self.table].stride)
        claimed[first] = tf.sub(claimed[first], u)
        claimed[first + 1] = tf.add(claimed[first + 1], tf.ONE)
        return claimed


@dataclasses.dataclass(frozen=True)
class SharedLambda(Lie):
    """Three chunk openings are false by amounts that sum to zero and keep the identity, and the DEEP word is computed
    with one coefficient for the three, so that it is of low degree. FRI_FINAL, or DEEP in the wide layout."""

    table: int = 0

    def openings(self, run: Run, openings: Array) -> Array:
        # d_0 + d_1 + d_2 = 0 and d_0 + d_1 * u + d_2 * u^2 = 0, with u = z^m: d = (u, -(u + 1), 1)
        claimed, first = openings.copy(), run.first_chunk_opening(self.table)
        u = tf.ext_power(run.z, run.layout.places[self.table].stride)
        for i, amount in enumerate((u, tf.sub(tf.ZERO, tf.add(u, tf.ONE)), tf.ONE)):
            claimed[first + i] = tf.add(claimed[first + i], amount)
        return claimed

    def lambdas(self, run: Run, lambdas: Array) -> Array:
        chosen, first = lambdas.copy(), run.first_chunk_opening(self.table)
        chosen[first : first + 3] = chosen[first]
        return chosen


# ---- covers ----


@dataclasses.dataclass(frozen=True)
class FixedOpening(Lie):
    """A chunk's opening is what makes the identity of a table at z hold. FRI_FINAL."""

    chunk: int = 0
    table: int = 0

    def openings(self, run: Run, openings: Array) -> Array:
        place, claimed = run.layout.places[self.table], openings.copy()
        chunk = range(place.chunks)[self.chunk]
        factor = tf.ext_power(run.z, place.stride * chunk)
        missing = tf.mul(run.identity_gap(openings, self.table), tf.ext_inverse(factor))
        index = run.first_chunk_opening(self.table) + chunk
        claimed[index] = tf.add(claimed[index], missing)
        assert not run.identity_gap(claimed, self.table).any()
        return claimed


@dataclasses.dataclass(frozen=True)
class NearestLayer(Lie):
    """FRI layer t is replaced by the low-degree word that agrees with the true one on one coset (a B-th of it).

    DEEP for layer 0, else FRI_FOLD, if the layer is committed.
    """

    t: int
    coset: int = 0

    def layer(self, run: Run, t: int, values: Array) -> Array:
        if t != self.t:
            return values
        assert t in run.layout.committed
        return tp.lde(run, t, tp.through(run, t, values, self.coset))


# ---- false FRI ----


@dataclasses.dataclass(frozen=True)
class RandomLayer(Lie):
    """FRI layer t is a low-degree word of no relation to the layer before. DEEP (t = 0) or FRI_FOLD if committed."""

    t: int

    def layer(self, run: Run, t: int, values: Array) -> Array:
        return tp.lde(run, t, random_elements(self, run.k(t))) if t == self.t else values


@dataclasses.dataclass(frozen=True)
class AlteredLayer(Lie):
    """FRI layer t is altered, in one component, at every `step`-th position.

    DEEP (t = 0) or FRI_FOLD if committed and such a position is queried, else FRI_FINAL.
    """

    t: int
    step: int = 2
    component: int = 0

    def layer(self, run: Run, t: int, values: Array) -> Array:
        if t != self.t:
            return values
        altered = values.copy()
        altered[:: self.step] = tf.add(altered[:: self.step], tf.unit(self.component))
        return altered


@dataclasses.dataclass(frozen=True)
class AlteredFinal(Lie):
    """One coefficient of the final polynomial is off by one in one component. FRI_FINAL."""

    coefficient: int
    component: int = 0

    def final(self, run: Run, attempt: int, word: Array, final: Array) -> Array:
        altered = final.copy()
        altered[self.coefficient] = tf.add(altered[self.coefficient], tf.unit(self.component))
        return altered


@dataclasses.dataclass(frozen=True)
class LongFinal(Lie):
    """The final polynomial has one coefficient more, made to fit a column of degree k + 1. Any code: what follows is
    read at the wrong place."""

    def final(self, run: Run, attempt: int, word: Array, final: Array) -> Array:
        points = tp.layer_points(run, len(run.layers) - 1)
        return tf.lagrange(points[: len(final) + 1], word[: len(final) + 1])


@dataclasses.dataclass(frozen=True)
class FinalThroughOneQuery(Lie):
    """The final polynomial is false but agrees with the last layer at `k_t - 1` positions, ground until the first (or
    the last) query is one of them. FRI_FINAL."""

    which: int = 0

    def _positions(self, run: Run, attempt: int) -> list[int]:
        domain, count = len(run.layers[-1]), len(run.layers[-1]) // run.blowup
        ends = list(range(domain))[:: 1 if self.which == 0 else -1][: 2 * count]
        return random.Random(attempt).sample(ends, count)

    def final(self, run: Run, attempt: int, word: Array, final: Array) -> Array:
        positions = self._positions(run, attempt)
        values = word[positions].copy()
        values[0] = tf.add(values[0], tf.ONE)
        return tf.lagrange(tp.layer_points(run, len(run.layers) - 1)[positions], values)

    def content(self, run: Run, attempt: int, content: bool) -> bool:
        (position,) = tp.positions_at(run, run.layout.folds, [run.indices[self.which]])
        return position in self._positions(run, attempt)[1:]


@dataclasses.dataclass(frozen=True)
class WrongNonce(Lie):
    """The smallest nonce that is not valid (or with 0 grinding bits, not 0). GRINDING."""

    def nonce(self, run: Run, nonce: int) -> int:
        if run.parameters.grinding_bits == 0:
            return 1
        return next(i for i in range(1 << 20) if not tp.nonce_is_valid(run, i))


# ---- false trees ----


@dataclasses.dataclass(frozen=True)
class ChangedLeaf(Lie):
    """One value of one opened leaf is not the committed one. TRACE_MERKLE, QUOTIENT_MERKLE or FRI_MERKLE."""

    tree: str
    leaf: int
    word: int

    def opened(self, run: Run, tree: str, indices: list[int], leaves: list[bytes]) -> list[bytes]:
        if tree != self.tree:
            return leaves
        changed = [bytearray(leaf) for leaf in leaves]
        words = np.frombuffer(changed[self.leaf], dtype="<u4")
        words[self.word] = (int(words[self.word]) + 1) % P
        return [bytes(leaf) for leaf in changed]


@dataclasses.dataclass(frozen=True)
class AlteredWord(Lie):
    """One word of every leaf is off by one before the leaves are hashed, and no other message knows of it.

    DEEP, FRI_FOLD or FRI_FINAL: what is computed from the leaf differs from what comes later.
    """

    tree: str
    word: int

    def leaves(self, run: Run, tree: str, leaves: list[bytes]) -> list[bytes]:
        if tree != self.tree:
            return leaves
        words = np.frombuffer(b"".join(leaves), dtype="<u4").reshape(len(leaves), -1).astype(np.uint64)
        words[:, self.word] = (words[:, self.word] + 1) % P
        return _split(words.astype("<u4").tobytes(), len(leaves[0]))


@dataclasses.dataclass(frozen=True)
class MovedBoundary(Lie):
    """In every leaf, the words are shifted by one against the columns and rows. TRACE_MERKLE, .. as above."""

    tree: str

    def opened(self, run: Run, tree: str, indices: list[int], leaves: list[bytes]) -> list[bytes]:
        if tree != self.tree:
            return leaves
        return _split(b"".join(leaves)[4:] + leaves[0][:4], len(leaves[0]))


@dataclasses.dataclass(frozen=True)
class SwappedLeaves(Lie):
    """The first and the last opened leaf change places. TRACE_MERKLE, .. as above."""

    tree: str

    def opened(self, run: Run, tree: str, indices: list[int], leaves: list[bytes]) -> list[bytes]:
        return leaves if tree != self.tree else [leaves[-1], *leaves[1:-1], leaves[0]]


@dataclasses.dataclass(frozen=True)
class ConfusedHashes(Lie):
    """The whole tree is hashed with the node key, leaves too, or with the leaf key, nodes too. TRACE_MERKLE, .."""

    tree: str
    key: bytes = K_NODE

    def hash_keys(self, run: Run, tree: str, keys: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
        assert self.key in (K_LEAF, K_NODE)
        return (self.key, self.key) if tree == self.tree else keys


@dataclasses.dataclass(frozen=True)
class ChangedCap(Lie):
    """One byte of each digest of a cap is changed before it is sent. TRACE_MERKLE, .. as above."""

    tree: str
    byte: int

    def cap(self, run: Run, tree: str, cap: bytes) -> bytes:
        return cap if tree != self.tree else bytes(b ^ (i % 32 == self.byte) for i, b in enumerate(cap))


@dataclasses.dataclass(frozen=True)
class ChangedPath(Lie):
    """One digest of a multi-proof is changed. TRACE_MERKLE, .. as above."""

    tree: str
    digest: int

    def path(self, run: Run, tree: str, digests: list[bytes]) -> list[bytes]:
        if tree != self.tree:
            return digests
        changed = list(digests)
        changed[self.digest] = bytes([changed[self.digest][0] ^ 1]) + changed[self.digest][1:]
        return changed


def _split(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


# ---- a prover that runs another transcript ----


class DeafTranscript(Transcript):
    """A transcript that leaves one tag's messages out."""

    def __init__(self, tag: int) -> None:
        super().__init__()
        self.tag = tag

    def copy(self) -> DeafTranscript:
        other = DeafTranscript(self.tag)
        other.state, other.buffer, other.states = self.state, self.buffer, list(self.states)
        return other

    def absorb(self, tag: int, data: bytes) -> None:
        if tag != self.tag:
            super().absorb(tag, data)


class LooseTranscript(Transcript):
    """A transcript that absorbs data without tags and lengths."""

    def copy(self) -> LooseTranscript:
        other = LooseTranscript()
        other.state, other.buffer, other.states = self.state, self.buffer, list(self.states)
        return other

    def absorb(self, tag: int, data: bytes) -> None:
        self.buffer += data


@dataclasses.dataclass(frozen=True)
class Unabsorbed(Lie):
    """The prover's challenges do not depend on one kind of message. The first challenge after it decides what fires."""

    tag: int

    def transcript(self) -> Transcript:
        return DeafTranscript(self.tag)


@dataclasses.dataclass(frozen=True)
class ChosenNonce(Lie):
    """The smallest valid nonce from `start` on. Not false: a verifier does not know which is the smallest of all."""

    start: int

    def nonce(self, run: Run, nonce: int) -> int:
        return next(i for i in itertools.count(self.start) if tp.nonce_is_valid(run, i))


@dataclasses.dataclass(frozen=True)
class UnboundLengths(Lie):
    """The prover's transcript does not bind tags and lengths. QUOTIENT."""

    def transcript(self) -> Transcript:
        return LooseTranscript()
