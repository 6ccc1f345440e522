"""A slow prover, written from docs/protocol.md alone, that can lie at every step.

`prove` works on coefficients of words over the whole LDE domain (a polynomial of degree below n for any word, of degree
below k for an honest one), so that after a lie every later message is computed from what was really committed or
claimed, and the transcript is run honestly. In honest mode it gives the very bytes of any prover of the protocol, which
is deterministic.
"""

# ruff: noqa: ARG002 - hooks have one signature, whatever a lie uses of it

from __future__ import annotations

import dataclasses
import itertools
import struct
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from tests.support import toy_field as tf
from tests.support.toy_air import BASE, EXTENSION, Air, decode, quotient
from tests.support.toy_commit import K_LEAF, K_NODE, Tag, Transcript, Tree, elements_to_bytes, hash_with
from tests.support.toy_field import DEGREE, GENERATOR, Array, P

STOP = 64
ARITY = 8


@dataclasses.dataclass(frozen=True)
class Parameters:
    """Section 5."""

    log_blowup: int = 3
    queries: int = 20
    grinding_bits: int = 0
    cap_log: int = 0
    independent: bool = False

    def to_bytes(self) -> bytes:
        """The 8 bytes."""
        return struct.pack("<BBBBI", self.log_blowup, self.grinding_bits, self.cap_log, self.independent, self.queries)

    @classmethod
    def from_bytes(cls, data: bytes) -> Parameters:
        """Read the 8 bytes without checking them."""
        log_blowup, grinding, cap_log, batching, queries = struct.unpack("<BBBBI", data)
        return cls(log_blowup, queries, grinding, cap_log, bool(batching))


@dataclasses.dataclass
class Run:
    """What a proof in the making knows; hooks of a lie read it. `coefficients` are those of the committed words."""

    air: Air
    publics: Sequence[int]
    parameters: Parameters
    transcript: Transcript
    columns: Array = dataclasses.field(default_factory=lambda: np.zeros((0, 0), dtype=np.uint64))
    chunks: list[Array] = dataclasses.field(default_factory=list)
    alpha: Array = dataclasses.field(default_factory=lambda: tf.ZERO)
    z: Array = dataclasses.field(default_factory=lambda: tf.ZERO)
    openings: Array = dataclasses.field(default_factory=lambda: np.zeros((0, 5), dtype=np.uint64))
    lambdas: Array = dataclasses.field(default_factory=lambda: np.zeros((0, 5), dtype=np.uint64))
    betas: list[Array] = dataclasses.field(default_factory=list)
    layer_caps: list[bytes] = dataclasses.field(default_factory=list)
    layers: list[Array] = dataclasses.field(default_factory=list)
    final: Array = dataclasses.field(default_factory=lambda: np.zeros((0, 5), dtype=np.uint64))
    indices: list[int] = dataclasses.field(default_factory=list)
    sections: list[tuple[str, bytes]] = dataclasses.field(default_factory=list)

    @property
    def k(self) -> int:
        """Rows."""
        return self.air.height

    @property
    def n(self) -> int:
        """Size of the LDE domain."""
        return self.k << self.parameters.log_blowup

    @property
    def blowup(self) -> int:
        """B."""
        return 1 << self.parameters.log_blowup

    def committed(self, t: int) -> bool:
        """Whether FRI layer t has a tree."""
        return not self.air.narrow if t == 0 else self.k >> 3 * t > STOP

    @property
    def committed_layers(self) -> list[int]:
        """The FRI layers with a tree, ascending."""
        return [t for t in range(9) if self.committed(t)]

    def weights(self) -> Array:
        """The honest powers of alpha, one per constraint."""
        return tf.ext_powers(self.alpha, self.air.constraints)

    def identity_gap(self, openings: Array) -> Array:
        """By how much the quotient identity at z fails: the constraints' side minus the chunks' side."""
        reads, chunks = openings[: len(self.air.reads)], openings[len(self.air.reads) :]
        composed = quotient(self.air, EXTENSION, self.z, list(reads), self.publics, self.weights())
        z_to_k = tf.ext_power(self.z, self.k)
        return tf.sub(composed, tf.ext_sum(tf.mul(tf.ext_powers(z_to_k, len(chunks)), chunks)))


class Lie:
    """Honest in everything. A lie overrides hooks; each gets, last, the honest thing, and returns its own."""

    def transcript(self) -> Transcript:
        """The transcript that the prover runs."""
        return Transcript()

    def trace(self, run: Run, trace: Array) -> Array:
        """The trace on its domain, before anything is committed."""
        return trace

    def columns(self, run: Run, columns: Array) -> Array:
        """Coefficients (k, W) of the trace columns; up to (n, W) may be returned."""
        return columns

    def periodics(self, run: Run, values: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        """The periodic values that the quotient is computed with."""
        return values

    def weights(self, run: Run, weights: Array) -> Array:
        """The constraints' coefficients (C, 5) that the quotient is computed with."""
        return weights

    def chunks(self, run: Run, chunks: list[Array]) -> list[Array]:
        """Coefficients (any length, 5) of the quotient's chunks."""
        return chunks

    def openings(self, run: Run, openings: Array) -> Array:
        """The out-of-domain values (N, 5)."""
        return openings

    def lambdas(self, run: Run, lambdas: Array) -> Array:
        """The batching coefficients (N, 5) that the DEEP word is computed with."""
        return lambdas

    def layer(self, run: Run, t: int, values: Array) -> Array:
        """The word (n_t, 5) of FRI layer t, by position, before its cap is sent."""
        return values

    def final(self, run: Run, attempt: int, word: Array, final: Array) -> Array:
        """The final polynomial's coefficients (k_t, 5), made from the last layer's word."""
        return final

    def nonce(self, run: Run, nonce: int) -> int:
        """The grinding nonce."""
        return nonce

    def content(self, run: Run, attempt: int, content: bool) -> bool:
        """Whether `run.indices` suit; a prover that grinds the final polynomial says no to be asked for another."""
        return content

    def hash_keys(self, run: Run, tree: str, keys: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
        """The keys that hash the leaves and the nodes of "trace", "quotient" or "fri t"."""
        return keys

    def leaves(self, run: Run, tree: str, leaves: list[bytes]) -> list[bytes]:
        """All leaves of a tree before they are hashed."""
        return leaves

    def cap(self, run: Run, tree: str, cap: bytes) -> bytes:
        """The cap of a tree, before it is sent."""
        return cap

    def opened(self, run: Run, tree: str, indices: list[int], leaves: list[bytes]) -> list[bytes]:
        """The opened leaves, after all is committed and drawn."""
        return leaves

    def path(self, run: Run, tree: str, digests: list[bytes]) -> list[bytes]:
        """The digests of an opening."""
        return digests


class Both(Lie):
    """Several lies in one proof: each hook passes through all of them in order. (The transcript is the first one's.)"""

    def __init__(self, *lies: Lie) -> None:
        self.lies = lies

    def _through(self, hook: str, *arguments: Any) -> Any:
        *context, value = arguments
        for lie in self.lies:
            value = getattr(lie, hook)(*context, value)
        return value

    def transcript(self) -> Transcript:
        return self.lies[0].transcript()

    def trace(self, run: Run, trace: Array) -> Array:
        return cast(Array, self._through("trace", run, trace))

    def columns(self, run: Run, columns: Array) -> Array:
        return cast(Array, self._through("columns", run, columns))

    def periodics(self, run: Run, values: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        return cast(Sequence[Sequence[int]], self._through("periodics", run, values))

    def weights(self, run: Run, weights: Array) -> Array:
        return cast(Array, self._through("weights", run, weights))

    def chunks(self, run: Run, chunks: list[Array]) -> list[Array]:
        return cast(list[Array], self._through("chunks", run, chunks))

    def openings(self, run: Run, openings: Array) -> Array:
        return cast(Array, self._through("openings", run, openings))

    def lambdas(self, run: Run, lambdas: Array) -> Array:
        return cast(Array, self._through("lambdas", run, lambdas))

    def layer(self, run: Run, t: int, values: Array) -> Array:
        return cast(Array, self._through("layer", run, t, values))

    def final(self, run: Run, attempt: int, word: Array, final: Array) -> Array:
        return cast(Array, self._through("final", run, attempt, word, final))

    def nonce(self, run: Run, nonce: int) -> int:
        return cast(int, self._through("nonce", run, nonce))

    def content(self, run: Run, attempt: int, content: bool) -> bool:
        return cast(bool, self._through("content", run, attempt, content))

    def hash_keys(self, run: Run, tree: str, keys: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
        return cast(tuple[bytes, bytes], self._through("hash_keys", run, tree, keys))

    def leaves(self, run: Run, tree: str, leaves: list[bytes]) -> list[bytes]:
        return cast(list[bytes], self._through("leaves", run, tree, leaves))

    def cap(self, run: Run, tree: str, cap: bytes) -> bytes:
        return cast(bytes, self._through("cap", run, tree, cap))

    def opened(self, run: Run, tree: str, indices: list[int], leaves: list[bytes]) -> list[bytes]:
        return cast(list[bytes], self._through("opened", run, tree, indices, leaves))

    def path(self, run: Run, tree: str, digests: list[bytes]) -> list[bytes]:
        return cast(list[bytes], self._through("path", run, tree, digests))


def prove(
    air: bytes,
    publics: Sequence[int],
    statement: bytes,
    parameters: bytes,
    trace: Array,
    lie: Lie | None = None,
) -> bytes:
    """The STARK proof bytes of section 8 for a trace (rows, columns) with canonical values.

    Without a lie, asserts on its way what an honest prover may rely on: the identity at z, and every degree.
    """
    return prove_run(air, publics, statement, parameters, trace, lie)[0]


def prove_run(
    air: bytes,
    publics: Sequence[int],
    statement: bytes,
    parameters: bytes,
    trace: Array,
    lie: Lie | None = None,
) -> tuple[bytes, Run]:
    """`prove`, and what happened on the way."""
    honest, lie = lie is None, lie or Lie()
    run = Run(decode(air), publics, Parameters.from_bytes(parameters), lie.transcript())
    assert trace.shape == (run.k, run.air.columns)
    _absorb_claim(run, statement, parameters)

    run.columns = lie.columns(run, tf.interpolate(lie.trace(run, trace % np.uint64(P)), 1))
    trace_tree = _commit(run, lie, "trace", _lde(run, run.columns))
    trace_cap = lie.cap(run, "trace", trace_tree.cap)
    run.transcript.absorb(Tag.TRACE_CAP, trace_cap)
    run.alpha = run.transcript.element()

    run.chunks = lie.chunks(run, _quotient_chunks(run, lie))
    words = [_lde(run, chunk) for chunk in run.chunks]
    quotient_tree = _commit(run, lie, "quotient", np.concatenate(words, axis=1))
    quotient_cap = lie.cap(run, "quotient", quotient_tree.cap)
    run.transcript.absorb(Tag.QUOTIENT_CAP, quotient_cap)
    run.z = run.transcript.element()
    while not run.z[1:].any():
        run.z = run.transcript.element()

    run.openings = lie.openings(run, _out_of_domain(run))
    run.transcript.absorb(Tag.OPENINGS, elements_to_bytes(run.openings))
    assert not honest or not run.identity_gap(run.openings).any(), "the quotient identity fails at z"

    word = _deep(run, lie, np.concatenate([tf.lift(_lde(run, run.columns)), np.stack(words, axis=1)], axis=1))
    fri_trees, word = _fri(run, lie, word)
    assert not honest or _degree_below(run, word), "the last FRI word is not of low degree"
    nonce = _finish(run, lie, word)

    run.sections = [
        ("parameters", parameters),
        ("trace cap", trace_cap),
        ("quotient cap", quotient_cap),
        ("openings", elements_to_bytes(run.openings)),
        *((f"fri {t} cap", cap) for t, cap in zip(run.committed_layers, run.layer_caps, strict=True)),
        ("final", elements_to_bytes(run.final)),
        ("nonce", struct.pack("<Q", nonce)),
    ]
    names = ["trace", "quotient", *(f"fri {t}" for t in run.committed_layers)]
    for name, tree, indices in zip(names, [trace_tree, quotient_tree, *fri_trees], _opened_indices(run), strict=True):
        leaves = lie.opened(run, name, indices, [tree.leaves[i] for i in indices])
        run.sections.append((f"{name} leaves", b"".join(leaves)))
        run.sections.append((f"{name} path", b"".join(lie.path(run, name, tree.multiproof(indices)))))
    return b"".join(data for _, data in run.sections), run


def _absorb_claim(run: Run, statement: bytes, parameters: bytes) -> None:
    transcript = run.transcript
    transcript.absorb(Tag.PROTOCOL, b"aprover stark v1")
    transcript.absorb(Tag.PARAMETERS, parameters)
    transcript.absorb(Tag.AIR, run.air.digest)
    transcript.absorb(Tag.HEIGHT, struct.pack("<I", run.air.log_height))
    transcript.absorb(Tag.PUBLICS, struct.pack(f"<{len(run.publics)}I", *run.publics))
    transcript.absorb(Tag.STATEMENT, statement)


def _lde(run: Run, coefficients: Array) -> Array:
    """Values on the LDE domain by position."""
    return tf.to_positions(tf.evaluate(coefficients, GENERATOR, tf.log2(run.n)), run.blowup)


def octets(values: Array, cosets: int) -> Array:
    """Values by position, (n_t, ..), as octets: (n_t / 8, 8, ..), the eight positions of octet l in row l."""
    size = len(values) // cosets
    split = values.reshape((cosets, ARITY, size // ARITY, *values.shape[1:]))
    return np.ascontiguousarray(split.swapaxes(1, 2)).reshape((len(values) // ARITY, ARITY, *values.shape[1:]))


def _commit(run: Run, lie: Lie, name: str, matrix: Array) -> Tree:
    """The tree of a base matrix (n_t, columns): octet leaves for FRI layers and narrow tables, else row leaves."""
    if run.air.narrow or name.startswith("fri"):
        matrix = octets(matrix, run.blowup).swapaxes(1, 2)  # column by column, m = 0..7
    data, size = elements_to_bytes(matrix), 4 * matrix[0].size
    leaves = lie.leaves(run, name, [data[i : i + size] for i in range(0, len(data), size)])
    return Tree(leaves, run.parameters.cap_log, *lie.hash_keys(run, name, (K_LEAF, K_NODE)))


def quotient_values(run: Run, lie: Lie, shift: int, log_size: int) -> Array:
    """The (possibly lied about) quotient on the domain `shift * w(log_size)^e`: (2^log_size, 5)."""
    size = 1 << log_size
    x = tf.powers(tf.root(log_size), size) * shift % P
    values = tf.evaluate(run.columns, shift, log_size)
    # x * w(log k)^o is o * size / k places further on
    reads = [np.roll(values[:, c], -o * (size // run.k)) for c, o in run.air.reads]
    weights = lie.weights(run, run.weights())
    return quotient(run.air, BASE, x, reads, run.publics, weights, lie.periodics(run, run.air.periodics))


def _quotient_chunks(run: Run, lie: Lie) -> list[Array]:
    """Interpolate the quotient on a domain that holds it if the constraints are kept, and split it into chunks.

    With low-degree columns it is cut to c*k coefficients; with columns of too high degree the last chunk keeps the
    rest, so that the identity at z still holds.
    """
    length = max(run.k, 1 << int(np.nonzero(run.columns.any(axis=1))[0].max(initial=0)).bit_length())
    log_size = max(run.air.quotient_degree(length), run.k - 1).bit_length()
    coefficients = tf.interpolate(quotient_values(run, lie, GENERATOR, log_size), GENERATOR)
    last = (run.air.chunks - 1) * run.k
    end = last + run.k if length == run.k else len(coefficients)
    padded = np.concatenate([coefficients, np.zeros((end, DEGREE), dtype=np.uint64)])
    return [padded[j : j + run.k] for j in range(0, last, run.k)] + [padded[last:end]]


def opening_points(run: Run) -> list[Array]:
    """`z_i` of each opening."""
    turns = {o: pow(tf.root(run.air.log_height), o, P) for _, o in run.air.reads}
    points = [run.z * np.uint64(turns[o]) % np.uint64(P) for _, o in run.air.reads]
    return points + [run.z] * run.air.chunks


def _out_of_domain(run: Run) -> Array:
    at = {}
    for o in {o for _, o in run.air.reads}:
        point = run.z * np.uint64(pow(tf.root(run.air.log_height), o, P)) % np.uint64(P)
        at[o] = tf.base_at(run.columns, point)
    openings = [at[o][c] for c, o in run.air.reads]
    return np.stack(openings + [tf.ext_at(chunk, run.z) for chunk in run.chunks])


def _deep(run: Run, lie: Lie, words: Array) -> Array:
    """D_0 by position, from the committed words (n, W + c, 5) and the claimed openings."""
    count = run.air.openings
    if run.parameters.independent:
        run.lambdas = run.transcript.elements(count)
    else:
        run.lambdas = tf.ext_powers(run.transcript.element(), count)
    run.lambdas = lie.lambdas(run, run.lambdas)
    x = tf.to_positions(tf.powers(tf.root(tf.log2(run.n)), run.n) * GENERATOR % P, run.blowup)
    word_of = [c for c, _ in run.air.reads] + [run.air.columns + j for j in range(run.air.chunks)]
    numerators: dict[bytes, tuple[Array, Array]] = {}
    for i, point in enumerate(opening_points(run)):
        word = words[:, word_of[i]]
        # a base column costs a fifth
        term = tf.mul(run.lambdas[i], word) if word[:, 1:].any() else tf.scale(run.lambdas[i][None], word[:, 0])
        term = tf.sub(term, tf.mul(run.lambdas[i], run.openings[i]))
        _, so_far = numerators.get(point.tobytes(), (point, np.zeros_like(term)))
        numerators[point.tobytes()] = (point, tf.add(so_far, term))
    total = np.zeros((run.n, DEGREE), dtype=np.uint64)
    for point, numerator in numerators.values():
        total = tf.add(total, tf.mul(numerator, tf.ext_inverse(tf.sub(tf.lift(x), point))))
    return total


def layer_points(run: Run, t: int) -> Array:
    """The points of FRI layer t by position."""
    log_size = tf.log2(run.n) - 3 * t
    natural = tf.powers(tf.root(log_size), 1 << log_size) * pow(GENERATOR, ARITY**t, P) % P
    return tf.to_positions(natural, run.blowup)


def fold(run: Run, t: int, values: Array, beta: Array) -> Array:
    """Layer t + 1 from layer t, by position: the formula at the end of section 9 on every octet."""
    grouped = octets(values, run.blowup)
    x = octets(layer_points(run, t), run.blowup)[:, 0]
    ratio = tf.scale(beta[None], tf.inverse(x))
    omega = tf.root(3)
    total = np.zeros((len(grouped), DEGREE), dtype=np.uint64)
    power = np.broadcast_to(tf.ONE, total.shape)
    for e in range(ARITY):
        inner = np.zeros_like(total)
        for m in range(ARITY):
            inner = tf.add(inner, grouped[:, m] * np.uint64(pow(omega, -e * m % ARITY, P)) % np.uint64(P))
        total = tf.add(total, tf.mul(power, inner))
        power = tf.mul(power, ratio)
    return total * np.uint64(pow(ARITY, P - 2, P)) % np.uint64(P)


def _fri(run: Run, lie: Lie, word: Array) -> tuple[list[Tree], Array]:
    trees: list[Tree] = []
    for t in itertools.count():
        word = lie.layer(run, t, word)
        run.layers.append(word)
        if t > 0 and run.k >> 3 * t <= STOP:
            return trees, word
        if run.committed(t):
            trees.append(_commit(run, lie, f"fri {t}", word))
            run.layer_caps.append(lie.cap(run, f"fri {t}", trees[-1].cap))
            run.transcript.absorb(Tag.FRI_CAP, run.layer_caps[-1])
        run.betas.append(run.transcript.element())
        word = fold(run, t, word, run.betas[-1])
    raise AssertionError


def through(run: Run, t: int, values: Array, coset: int) -> Array:
    """Coefficients (k_t, 5) of the low-degree polynomial that agrees with a word of layer t on one of its B cosets."""
    size = len(values) // run.blowup
    shift = int(layer_points(run, t)[coset * size])
    return tf.interpolate(values[coset * size : (coset + 1) * size], shift)


def from_coefficients(run: Run, t: int, coefficients: Array) -> Array:
    """The word of layer t, by position, of a polynomial."""
    log_size = tf.log2(run.n) - 3 * t
    return tf.to_positions(tf.evaluate(coefficients, pow(GENERATOR, ARITY**t, P), log_size), run.blowup)


def _degree_below(run: Run, word: Array) -> bool:
    t = len(run.layers) - 1
    return np.array_equal(from_coefficients(run, t, through(run, t, word, 0)), word)


def _finish(run: Run, lie: Lie, word: Array) -> int:
    """Final polynomial, nonce and query indices."""
    before = run.transcript
    honest = through(run, len(run.layers) - 1, word, 0)
    for attempt in itertools.count():
        run.transcript = before.copy()
        run.final = lie.final(run, attempt, word, honest)
        run.transcript.absorb(Tag.FINAL, elements_to_bytes(run.final))
        nonce = lie.nonce(run, _grind(run))
        run.transcript.absorb(Tag.NONCE, struct.pack("<Q", nonce))
        domain = run.n // ARITY if run.air.narrow else run.n
        run.indices = run.transcript.indices(run.parameters.queries, domain)
        if lie.content(run, attempt, True):
            return nonce
    raise AssertionError


def nonce_is_valid(run: Run, nonce: int) -> bool:
    """Whether a nonce has its zero bits after the present transcript state."""
    (value,) = struct.unpack("<Q", hash_with(run.transcript.state, struct.pack("<Q", nonce))[:8])
    return int(value) & ((1 << run.parameters.grinding_bits) - 1) == 0


def _grind(run: Run) -> int:
    """The smallest valid nonce, or 0 if more work is asked for than a test can do."""
    run.transcript.squeeze()
    tries = 1 << run.parameters.grinding_bits + 6 if run.parameters.grinding_bits <= 12 else 0
    return next((nonce for nonce in range(tries) if nonce_is_valid(run, nonce)), 0)


def _opened_indices(run: Run) -> list[list[int]]:
    """Leaf indices of each tree in the order of the proof (section 7, steps 9 and 10)."""
    out = [run.indices, run.indices]
    out += [octets_of(run, t, run.indices) for t in run.committed_layers]
    return out


def octets_of(run: Run, t: int, indices: Sequence[int]) -> list[int]:
    """The sorted octets of layer t, which are positions of layer t + 1, that queries lead to."""
    positions = list(indices)
    for level in range(1 if run.air.narrow else 0, t + 1):
        size = (run.k >> 3 * level) // ARITY
        positions = sorted({p // (size * ARITY) * size + p % size for p in positions})
    return positions
