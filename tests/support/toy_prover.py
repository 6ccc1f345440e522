"""A slow prover, written from docs/protocol.md alone, that can lie at every step.

`prove` works on coefficients of words over the whole domain of a level (a polynomial of degree below n for any word, of
degree below k for an honest one), so that after a lie every later message is computed from what was really committed or
claimed, and the transcript is run honestly. In honest mode it gives the very bytes of any prover of the protocol, which
is deterministic unless it is zero-knowledge.
"""

from __future__ import annotations

import dataclasses
import itertools
import secrets
import struct
from collections.abc import Callable, Sequence

import numpy as np

from tests.support import toy_field as tf
from tests.support.toy_air import (
    BASE,
    EXTENSION,
    Air,
    LookupValues,
    batch_fraction,
    decode,
    quotient,
    run_slots,
)
from tests.support.toy_commit import K_LEAF, K_NODE, Tag, Transcript, Tree, elements_to_bytes, hash_with
from tests.support.toy_field import DEGREE, GENERATOR, Array, P
from tests.support.toy_layout import PHASES, Layout, Parameters, Place
from tests.support.toy_lie import Lie

SALT_BYTES = 16
NOTHING = np.zeros((0, DEGREE), dtype=np.uint64)
Uniform = Callable[[tuple[int, ...]], Array]
"""Independent uniform elements of the base field, of a shape."""


def system_randomness() -> Uniform:
    """For one proof."""
    generator = np.random.default_rng(secrets.randbits(256))
    return lambda shape: generator.integers(0, P, shape, dtype=np.uint64)


@dataclasses.dataclass
class Run:
    """What a proof in the making knows; hooks of a lie read it. Lists are by table, words are coefficients."""

    air: Air
    publics: Sequence[int]
    parameters: Parameters
    layout: Layout
    transcript: Transcript
    uniform: Uniform
    trees: dict[str, Tree] = dataclasses.field(default_factory=dict)
    caps: dict[str, bytes] = dataclasses.field(default_factory=dict)
    preprocessed: list[Array] = dataclasses.field(default_factory=list)
    traces: list[Array] = dataclasses.field(default_factory=list)
    columns: list[Array] = dataclasses.field(default_factory=list)
    gamma: Array = dataclasses.field(default_factory=lambda: tf.ZERO)
    beta: Array = dataclasses.field(default_factory=lambda: tf.ZERO)
    lookups: list[Array] = dataclasses.field(default_factory=list)
    sums: Array = dataclasses.field(default_factory=lambda: NOTHING)
    alpha: Array = dataclasses.field(default_factory=lambda: tf.ZERO)
    chunks: list[list[Array]] = dataclasses.field(default_factory=list)
    mask: Array = dataclasses.field(default_factory=lambda: NOTHING)
    z: Array = dataclasses.field(default_factory=lambda: tf.ZERO)
    openings: Array = dataclasses.field(default_factory=lambda: NOTHING)
    lambdas: Array = dataclasses.field(default_factory=lambda: NOTHING)
    betas: list[Array] = dataclasses.field(default_factory=list)
    layers: list[Array] = dataclasses.field(default_factory=list)
    final: Array = dataclasses.field(default_factory=lambda: NOTHING)
    indices: list[int] = dataclasses.field(default_factory=list)
    sections: list[tuple[str, bytes]] = dataclasses.field(default_factory=list)

    def k(self, t: int = 0) -> int:
        """Coefficients of an honest word of level t."""
        return 1 << self.layout.log_lengths[t]

    def n(self, t: int = 0) -> int:
        """Size of the domain of level t."""
        return 1 << self.layout.log_n(t)

    @property
    def blowup(self) -> int:
        """B."""
        return 1 << self.parameters.log_blowup

    def weights(self, table: int) -> Array:
        """The honest powers of alpha of a table's constraints."""
        first, count = self.layout.first_constraint(table), self.air.tables[table].constraints
        return tf.ext_powers(self.alpha, first + count)[first:]

    def split_openings(self, openings: Array, table: int) -> tuple[Array, Array, Array]:
        """The reads, the lookup columns with phi one row on, and the chunks of one table."""
        first, place = self.layout.first_opening(table), self.layout.places[table]
        own, reads = openings[first : first + place.openings], len(place.table.reads)
        return own[:reads], own[reads : place.openings - place.chunks], own[place.openings - place.chunks :]

    def first_chunk_opening(self, table: int = 0) -> int:
        """The number of the opening of Q_0(z)."""
        place = self.layout.places[table]
        return self.layout.first_opening(table) + place.openings - place.chunks

    def identity_gap(self, openings: Array, table: int = 0) -> Array:
        """By how much the quotient identity at z fails: the constraints' side minus the chunks' side."""
        reads, lookups, chunks = self.split_openings(openings, table)
        values = LookupValues(self.gamma, self.beta, self.sums[table], list(lookups[:-1]), lookups[-1:].sum(axis=0))
        one = self.air.tables[table]
        composed = quotient(one, EXTENSION, self.z, list(reads), self.publics, self.weights(table), values)
        z_to_m = tf.ext_power(self.z, self.layout.places[table].stride)
        return tf.sub(composed, tf.ext_sum(tf.mul(tf.ext_powers(z_to_m, len(chunks)), chunks)))


def tree_name(phase: str, level: int) -> str:
    """How hooks and sections call a tree."""
    return f"{phase} {level}" if level else phase


def prove(
    air: bytes,
    publics: Sequence[int],
    statement: bytes,
    parameters: bytes,
    traces: Sequence[Array],
    lie: Lie | None = None,
    uniform: Uniform | None = None,
) -> bytes:
    """The STARK proof bytes of section 8 for the traces (rows, columns) of all tables, with canonical values.

    Without a lie, asserts on its way what an honest prover may rely on: the sums, the identities at z, the degrees.
    """
    return prove_run(air, publics, statement, parameters, traces, lie, uniform)[0]


def prove_run(
    air: bytes,
    publics: Sequence[int],
    statement: bytes,
    parameters: bytes,
    traces: Sequence[Array],
    lie: Lie | None = None,
    uniform: Uniform | None = None,
) -> tuple[bytes, Run]:
    """`prove`, and what happened on the way. `uniform` is the randomness of a zero-knowledge proof."""
    honest, lie = lie is None, lie or Lie()
    decoded, given = decode(air), Parameters.from_bytes(parameters)
    uniform = uniform or system_randomness()
    run = Run(decoded, publics, given, Layout(decoded, given), lie.transcript(), uniform)
    assert [trace.shape for trace in traces] == [(table.height, table.columns) for table in run.air.tables]
    _begin(run, lie, statement, parameters)
    _send_trace(run, lie, traces)
    _send_lookups(run, lie)
    assert not honest or not tf.ext_sum(run.sums).any(), "the lookup sums do not add up to zero"
    _send_quotients(run, lie)

    run.z = run.transcript.element()
    while not run.z[1:].any():
        run.z = run.transcript.element()
    run.openings = lie.openings(run, out_of_domain(run))
    run.transcript.absorb(Tag.OPENINGS, elements_to_bytes(run.openings))
    for table in range(len(run.air.tables) if honest else 0):
        assert not run.identity_gap(run.openings, table).any(), f"the quotient identity of table {table} fails at z"

    word = _fri(run, lie)
    assert not honest or _degree_below(run, word), "the last FRI word is not of low degree"
    nonce = _finish(run, lie, word)
    _assemble(run, lie, parameters, nonce)
    return b"".join(data for _, data in run.sections), run


def _begin(run: Run, lie: Lie, statement: bytes, parameters: bytes) -> None:
    transcript = run.transcript
    transcript.absorb(Tag.PROTOCOL, b"aprover stark v2")
    transcript.absorb(Tag.PARAMETERS, parameters)
    transcript.absorb(Tag.AIR, run.air.digest)
    heights = [table.log_height for table in run.air.tables]
    transcript.absorb(Tag.HEIGHT, struct.pack(f"<{len(heights)}I", *heights))
    transcript.absorb(Tag.PUBLICS, struct.pack(f"<{len(run.publics)}I", *run.publics))
    transcript.absorb(Tag.STATEMENT, statement)
    for i, table in enumerate(run.air.tables):
        values = tf.array(table.preprocessed).reshape(-1, table.height).T
        run.preprocessed.append(tf.interpolate(lie.preprocessed(run, i, values), 1))
    caps = _commit_phase(run, lie, "preprocessed", lambda i: run.preprocessed[i])
    if caps:
        transcript.absorb(Tag.PREPROCESSED_CAP, caps)


def _masked(run: Run, place: Place, coefficients: Array) -> Array:
    """f + V * r, of degree below k + R."""
    if not place.masks:
        return coefficients
    r = run.uniform((place.masks, *coefficients.shape[1:]))
    out = np.concatenate([coefficients, r])
    out[: place.masks] = tf.sub(out[: place.masks], r)
    return out


def _send_trace(run: Run, lie: Lie, traces: Sequence[Array]) -> None:
    for i, (place, trace) in enumerate(zip(run.layout.places, traces, strict=True)):
        run.traces.append(lie.trace(run, i, trace % np.uint64(P)))
        coefficients = _masked(run, place, tf.interpolate(run.traces[-1], 1))
        run.columns.append(lie.columns(run, i, coefficients))
    run.transcript.absorb(Tag.TRACE_CAP, _commit_phase(run, lie, "trace", lambda i: run.columns[i]))


def _send_lookups(run: Run, lie: Lie) -> None:
    """Section 7, step 3."""
    sums = np.zeros((len(run.air.tables), DEGREE), dtype=np.uint64)
    run.lookups = [np.zeros((table.height, 0, DEGREE), dtype=np.uint64) for table in run.air.tables]
    run.sums = sums
    with_lookups = [i for i, table in enumerate(run.air.tables) if table.interactions]
    if not with_lookups:
        return
    run.gamma, run.beta = run.transcript.elements(2)
    for i in with_lookups:
        values, sums[i] = lookup_columns(run, lie, i)
        coefficients = tf.interpolate(lie.lookups(run, i, values), 1)
        run.lookups[i] = _masked(run, run.layout.places[i], coefficients)
    run.sums = lie.sums(run, sums)
    caps = _commit_phase(run, lie, "lookup", lambda i: run.lookups[i].reshape(len(run.lookups[i]), -1))
    run.transcript.absorb(Tag.LOOKUP_CAP, caps)
    run.transcript.absorb(Tag.LOOKUP_SUM, elements_to_bytes(run.sums[with_lookups]))


def table_reads(run: Run, i: int) -> list[Array]:
    """The reads of a table on its own domain."""
    table = run.air.tables[i]
    rows = np.concatenate([run.traces[i], tf.evaluate(run.preprocessed[i], 1, table.log_height)], axis=1)
    return [np.roll(rows[:, c], -o) for c, o in table.reads]


def row_fractions(run: Run, i: int) -> list[Array]:
    """For each batch of a table, the sum of its fractions in each row: (k, 5)."""
    table = run.air.tables[i]
    x = tf.powers(tf.root(table.log_height), table.height)
    slots, _ = run_slots(table, BASE, x, table_reads(run, i), run.publics)
    sums = []
    for batch in table.batches:
        product, numerator = batch_fraction(BASE, slots, batch, run.gamma, run.beta)
        fraction = tf.mul(numerator, tf.ext_inverse(product))
        sums.append(np.broadcast_to(fraction, (table.height, DEGREE)))
    return sums


def lookup_columns(run: Run, lie: Lie, i: int) -> tuple[Array, Array]:
    """h_0, .., phi of a table on its domain, (k, A, 5), and its sum."""
    table, sums = run.air.tables[i], row_fractions(run, i)
    rows = tf.ext_sum(np.stack(sums))
    sigma = lie.total(run, i, tf.ext_sum(rows))
    steps = tf.sub(rows, sigma * np.uint64(pow(table.height, P - 2, P)) % np.uint64(P))
    running = np.concatenate([tf.ZERO[None], steps[:-1]]).cumsum(axis=0, dtype=np.uint64) % np.uint64(P)
    return np.stack([*sums[:-1], running], axis=1), sigma


def _send_quotients(run: Run, lie: Lie) -> None:
    run.alpha = run.transcript.element()
    for i in range(len(run.air.tables)):
        run.chunks.append(lie.chunks(run, i, _quotient_chunks(run, lie, i)))
    if run.parameters.zk:
        run.mask = run.uniform((run.k(), DEGREE))
    lengths = [max(map(len, chunks)) for chunks in run.chunks]

    def matrix(i: int) -> Array:
        padded = [np.concatenate([c, np.zeros((lengths[i] - len(c), DEGREE), dtype=np.uint64)]) for c in run.chunks[i]]
        return np.concatenate(padded, axis=1)

    run.transcript.absorb(Tag.QUOTIENT_CAP, _commit_phase(run, lie, "quotient", matrix))


def level_shift(run: Run, t: int) -> int:
    """g^(2^(l_0 - l_t))."""
    return pow(GENERATOR, 1 << run.layout.log_lengths[0] - run.layout.log_lengths[t], P)


def lde(run: Run, t: int, coefficients: Array) -> Array:
    """Values on the domain of level t, by position."""
    return tf.to_positions(tf.evaluate(coefficients, level_shift(run, t), run.layout.log_n(t)), run.blowup)


def cosets(run: Run, t: int, values: Array) -> Array:
    """Values of level t by position, (n_t, ..), as fold cosets: (n_t / N, N, ..), the positions of coset l in row l."""
    size, arity = run.k(t), 1 << run.layout.log_arity(t)
    split = values.reshape((run.blowup, arity, size // arity, *values.shape[1:]))
    return np.ascontiguousarray(split.swapaxes(1, 2)).reshape((len(values) // arity, arity, *values.shape[1:]))


def _commit_phase(run: Run, lie: Lie, phase: str, coefficients: Callable[[int], Array]) -> bytes:
    """The trees of a phase, from the coefficients of each table's matrix; gives the caps."""
    sent = []
    for t in run.layout.trees(phase):
        columns = [lde(run, t, coefficients(i)) for i in run.layout.tables_at(t)]
        if phase == "quotient" and t == 0 and run.parameters.zk:
            columns.append(lde(run, t, run.mask))
        salted = run.parameters.zk and phase != "preprocessed"
        name, matrix = tree_name(phase, t), np.concatenate(columns, axis=1)
        sent.append(commit(run, lie, name, t, matrix, run.layout.narrow and t == 0, salted))
    return b"".join(sent)


def commit(run: Run, lie: Lie, name: str, t: int, matrix: Array, in_cosets: bool, salted: bool = False) -> bytes:
    """The tree of a base matrix (n_t, columns) over level t, with coset leaves or row leaves; gives the cap sent."""
    if in_cosets:
        matrix = cosets(run, t, matrix).swapaxes(1, 2)  # column by column, m = 0..N-1
    data, size = elements_to_bytes(matrix), 4 * matrix[0].size
    leaves = [data[i : i + size] for i in range(0, len(data), size)]
    if salted:
        leaves = [leaf + run.uniform((SALT_BYTES,)).astype(np.uint8).tobytes() for leaf in leaves]
    leaves = lie.leaves(run, name, leaves)
    run.trees[name] = Tree(leaves, run.parameters.cap_log, *lie.hash_keys(run, name, (K_LEAF, K_NODE)))
    run.caps[name] = lie.cap(run, name, run.trees[name].cap)
    return run.caps[name]


def quotient_values(run: Run, lie: Lie, i: int, shift: int, log_size: int) -> Array:
    """The (possibly lied about) quotient of a table on the domain `shift * w(log_size)^e`: (2^log_size, 5)."""
    table, size = run.air.tables[i], 1 << log_size
    x = tf.powers(tf.root(log_size), size) * shift % P
    values = np.concatenate(
        [tf.evaluate(run.columns[i], shift, log_size), tf.evaluate(run.preprocessed[i], shift, log_size)], axis=1
    )
    turn = size // table.height  # x * w(log k) is so many places further on
    reads = [np.roll(values[:, c], -o * turn) for c, o in table.reads]
    lookups = None
    if table.interactions:
        columns = tf.evaluate(run.lookups[i], shift, log_size)
        following = np.roll(columns[:, -1], -turn, axis=0)
        lookups = LookupValues(run.gamma, run.beta, run.sums[i], list(columns.swapaxes(0, 1)), following)
    weights = lie.weights(run, i, run.weights(i))
    periodics = lie.periodics(run, i, table.periodics)
    return quotient(table, BASE, x, reads, run.publics, weights, lookups, periodics)


def _degree(coefficients: Array) -> int:
    """The largest degree of a column, at least 0."""
    used = coefficients.reshape(len(coefficients), -1).any(axis=1)
    return int(np.nonzero(used)[0].max(initial=0))


def _sum(a: Array, b: Array) -> Array:
    """Of two polynomials of any lengths."""
    out = np.zeros((max(len(a), len(b)), *a.shape[1:]), dtype=np.uint64)
    out[: len(a)] = a
    out[: len(b)] = tf.add(out[: len(b)], b)
    return out


def _quotient_chunks(run: Run, lie: Lie, i: int) -> list[Array]:
    """Interpolate the quotient on a domain that holds it if the constraints are kept, and split it into chunks.

    With low-degree columns it is cut to c*m coefficients; with columns of too high degree the last chunk keeps the
    rest, so that the identity at z still holds.
    """
    place = run.layout.places[i]
    expected = place.table.height + place.masks - 1
    degree = max(expected, _degree(run.columns[i]))
    log_size = max(place.table.quotient_degree(degree), run.k(place.level) - 1).bit_length()
    coefficients = tf.interpolate(quotient_values(run, lie, i, GENERATOR, log_size), GENERATOR)
    m, last = place.stride, (place.chunks - 1) * place.stride
    end = last + m if degree == expected else max(last + m, len(coefficients))
    padded = np.concatenate([coefficients, np.zeros((end, DEGREE), dtype=np.uint64)])
    parts = [padded[j : j + m] for j in range(0, last, m)] + [padded[last:end]]
    for j in range(place.chunks - 1 if place.masks else 0):
        b = run.uniform((place.masks, DEGREE))
        parts[j] = _sum(parts[j], np.concatenate([np.zeros((m, DEGREE), dtype=np.uint64), b]))
        parts[j + 1] = _sum(parts[j + 1], tf.sub(np.zeros_like(b), b))
    return parts


def table_offsets(run: Run, i: int) -> list[int]:
    """How many rows after z each opening of a table is."""
    table = run.air.tables[i]
    lookups = [0] * table.lookup_columns + [1] if table.interactions else []
    return [o for _, o in table.reads] + lookups + [0] * run.layout.places[i].chunks


def opening_points(run: Run, i: int) -> list[Array]:
    """`z_i` of each opening of a table."""
    root = tf.root(run.air.tables[i].log_height)
    return [run.z * np.uint64(pow(root, o, P)) % np.uint64(P) for o in table_offsets(run, i)]


def out_of_domain(run: Run) -> Array:
    """The true out-of-domain values (N, 5)."""
    openings = []
    for i, table in enumerate(run.air.tables):
        root, at = tf.root(table.log_height), {}
        for o in {o for _, o in table.reads}:
            point = run.z * np.uint64(pow(root, o, P)) % np.uint64(P)
            at[o] = np.concatenate([tf.base_at(run.columns[i], point), tf.base_at(run.preprocessed[i], point)])
        openings += [at[o][c] for c, o in table.reads]
        if table.interactions:
            openings += [tf.ext_at(run.lookups[i][:, a], run.z) for a in range(table.lookup_columns)]
            openings.append(tf.ext_at(run.lookups[i][:, -1], run.z * np.uint64(root) % np.uint64(P)))
        openings += [tf.ext_at(chunk, run.z) for chunk in run.chunks[i]]
    return np.stack(openings)


def _draw_lambdas(run: Run, lie: Lie) -> None:
    count = run.layout.openings + run.parameters.zk
    if run.parameters.independent:
        run.lambdas = run.transcript.elements(count)
    else:
        run.lambdas = tf.ext_powers(run.transcript.element(), count)
    run.lambdas = lie.lambdas(run, run.lambdas)


def _opened_words(run: Run, i: int) -> list[Array]:
    """The word of each opening of a table on its level's domain: a base vector (n,) or an extension one (n, 5)."""
    table, level = run.air.tables[i], run.layout.places[i].level
    base = np.concatenate([lde(run, level, run.columns[i]), lde(run, level, run.preprocessed[i])], axis=1)
    words = [base[:, c] for c, _ in table.reads]
    if table.interactions:
        columns = lde(run, level, run.lookups[i])
        words += [*columns.swapaxes(0, 1), columns[:, -1]]
    return words + [lde(run, level, chunk) for chunk in run.chunks[i]]


def deep_word(run: Run, t: int) -> Array:
    """G_t by position, from the committed words and the claimed openings."""
    x = layer_points(run, t)
    total = np.zeros((run.n(t), DEGREE), dtype=np.uint64)
    for i in run.layout.tables_at(t):
        numerators: dict[bytes, tuple[Array, Array]] = {}
        first = run.layout.first_opening(i)
        for j, (word, point) in enumerate(zip(_opened_words(run, i), opening_points(run, i), strict=True), first):
            # a base column costs a fifth
            term = tf.scale(run.lambdas[j][None], word) if word.ndim == 1 else tf.mul(run.lambdas[j], word)
            term = tf.sub(term, tf.mul(run.lambdas[j], run.openings[j]))
            _, so_far = numerators.get(point.tobytes(), (point, np.zeros_like(term)))
            numerators[point.tobytes()] = (point, tf.add(so_far, term))
        for point, numerator in numerators.values():
            total = tf.add(total, tf.mul(numerator, tf.ext_inverse(tf.sub(tf.lift(x), point))))
    if t == 0 and run.parameters.zk:
        total = tf.add(total, tf.mul(run.lambdas[-1], lde(run, 0, run.mask)))
    return total


def layer_points(run: Run, t: int) -> Array:
    """The points of level t by position."""
    natural = tf.powers(tf.root(run.layout.log_n(t)), run.n(t)) * level_shift(run, t) % P
    return tf.to_positions(natural, run.blowup)


def fold(run: Run, t: int, values: Array, beta: Array) -> Array:
    """Layer t folded, by position of layer t + 1: the formula at the end of section 9 on every fold coset."""
    grouped = cosets(run, t, values)
    x = cosets(run, t, layer_points(run, t))[:, 0]
    ratio, log_arity = tf.scale(beta[None], tf.inverse(x)), run.layout.log_arity(t)
    arity, omega = 1 << log_arity, tf.root(log_arity)
    total = np.zeros((len(grouped), DEGREE), dtype=np.uint64)
    power = np.broadcast_to(tf.ONE, total.shape)
    for e in range(arity):
        inner = np.zeros_like(total)
        for m in range(arity):
            inner = tf.add(inner, grouped[:, m] * np.uint64(pow(omega, -e * m % arity, P)) % np.uint64(P))
        total = tf.add(total, tf.mul(power, inner))
        power = tf.mul(power, ratio)
    return total * np.uint64(pow(arity, P - 2, P)) % np.uint64(P)


def _fri(run: Run, lie: Lie) -> Array:
    """Section 7, steps 6 and 7: the last word."""
    _draw_lambdas(run, lie)
    word = lie.layer(run, 0, lie.entering(run, 0, deep_word(run, 0)))
    run.layers.append(word)
    for t in range(run.layout.folds):
        if t in run.layout.committed:
            run.transcript.absorb(Tag.FRI_CAP, commit(run, lie, f"fri {t}", t, word, True))
        beta = run.transcript.element()
        run.betas.append(beta)
        word = fold(run, t, word, beta)
        if run.layout.tables_at(t + 1):
            entering = lie.entering(run, t + 1, deep_word(run, t + 1))
            word = tf.add(word, tf.mul(tf.ext_power(beta, 1 << run.layout.log_arity(t)), entering))
        word = lie.layer(run, t + 1, word)
        run.layers.append(word)
    return word


def through(run: Run, t: int, values: Array, coset: int) -> Array:
    """Coefficients (k_t, 5) of the low-degree polynomial that agrees with a word of layer t on one of its B cosets."""
    size = run.k(t)
    shift = int(layer_points(run, t)[coset * size])
    return tf.interpolate(values[coset * size : (coset + 1) * size], shift)


def _degree_below(run: Run, word: Array) -> bool:
    t = run.layout.folds
    return np.array_equal(lde(run, t, through(run, t, word, 0)), word)


def _finish(run: Run, lie: Lie, word: Array) -> int:
    """Final polynomial, nonce and query indices."""
    before = run.transcript
    honest = through(run, run.layout.folds, word, 0)
    for attempt in itertools.count():
        run.transcript = before.copy()
        run.final = lie.final(run, attempt, word, honest)
        run.transcript.absorb(Tag.FINAL, elements_to_bytes(run.final))
        nonce = lie.nonce(run, _grind(run))
        run.transcript.absorb(Tag.NONCE, struct.pack("<Q", nonce))
        run.indices = run.transcript.indices(run.parameters.queries, 1 << run.layout.log_indices)
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


def positions_at(run: Run, t: int, indices: Sequence[int]) -> list[int]:
    """I_t: the sorted positions of level t that query indices lead to (for t = 0 the indices themselves)."""
    positions = list(indices)
    for level in range(1 if run.layout.narrow else 0, t):
        size, arity = run.k(level), 1 << run.layout.log_arity(level)
        positions = sorted({p // size * (size // arity) + p % (size // arity) for p in positions})
    return positions


def _assemble(run: Run, lie: Lie, parameters: bytes, nonce: int) -> None:
    """The sections of the proof in order (section 8)."""

    def names(phase: str) -> list[tuple[int, str]]:
        return [(t, tree_name(phase, t)) for t in run.layout.trees(phase)]

    layers = [(t + 1, f"fri {t}") for t in run.layout.committed]
    with_lookups = [i for i, table in enumerate(run.air.tables) if table.interactions]
    run.sections = [("parameters", parameters)]
    run.sections += [(f"{name} cap", run.caps[name]) for phase in ("trace", "lookup") for _, name in names(phase)]
    run.sections += [("sums", elements_to_bytes(run.sums[with_lookups]))] if with_lookups else []
    run.sections += [(f"{name} cap", run.caps[name]) for _, name in names("quotient")]
    run.sections.append(("openings", elements_to_bytes(run.openings)))
    run.sections += [(f"{name} cap", run.caps[name]) for _, name in layers]
    run.sections += [("final", elements_to_bytes(run.final)), ("nonce", struct.pack("<Q", nonce))]
    for t, name in [*(one for phase in PHASES for one in names(phase)), *layers]:
        indices, tree = positions_at(run, t, run.indices), run.trees[name]
        leaves = lie.opened(run, name, indices, [tree.leaves[i] for i in indices])
        run.sections.append((f"{name} leaves", b"".join(leaves)))
        run.sections.append((f"{name} path", b"".join(lie.path(run, name, tree.multiproof(indices)))))
