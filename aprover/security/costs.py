"""What a proof costs: its expected bytes (docs/protocol.md, section 8) and a prediction of the time to make it.

The time is a model, good enough to compare parameters of one shape with each other; the engine's own cost model, which
is fitted on the machine, decides where and when to prove.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from aprover.security.shape import EXTENSION_DEGREE, PHASES, Layout, Parameters, Shape, layout_of
from aprover.security.soundness import log2_falling

# Nanoseconds on one core with AVX2 (2 GHz class). Only their proportions matter here.
COMPRESSION_LANES = 17.0
"""One of eight BLAKE3 compressions made together."""
COMPRESSION_ALONE = 60.0
MULTIPLY = 0.16
"""One product in the base field, eight at a time."""
BUTTERFLY = 0.35
"""One element in one level of an NTT."""
INSTRUCTION = 0.3
"""One instruction of the constraints on one row."""
FRACTION = 40.0
"""One fraction of a lookup on one row: its fingerprint, its share of an inversion, and its place in a sum."""
GATHER = 4.0
"""One value copied out of a column into a leaf that is opened."""
DIGEST = 10.0
"""One digest found and copied into a multi-proof."""


SALT_BYTES = 16


@attrs.frozen
class Tree:
    """One Merkle tree of a proof."""

    log_leaves: int
    leaf_bytes: int
    per_proof: bool = True
    """False for preprocessed columns: they are committed once, and their cap is not part of the proof."""


def trees(layout: Layout, log_blowup: int) -> Iterator[Tree]:
    """The trees in the order of the proof: phase by phase, each level by level, and the committed FRI layers."""
    for phase, name in enumerate(PHASES):
        for t, level in enumerate(layout.levels):
            log_rows = level.log_arity if layout.narrow and t == 0 else 0
            salt = SALT_BYTES if layout.zk and name != "preprocessed" else 0
            if level.columns[phase]:
                log_leaves = level.log_length + log_blowup - log_rows
                yield Tree(log_leaves, (4 * level.columns[phase] << log_rows) + salt, name != "preprocessed")
    for level in layout.levels[1 if layout.narrow else 0 : -1]:
        yield Tree(level.log_length + log_blowup - level.log_arity, 4 * EXTENSION_DEGREE << level.log_arity)


# --- bytes --------------------------------------------------------------------------------------------------------


def expected_opening(tree: Tree, log_indices: int, queries: int, cap_log: int) -> tuple[float, float]:
    """Expected numbers of leaves and of digests in the opening of a tree.

    The queries are a uniformly random set of `queries` out of `2**log_indices` indices, and each node stands for a
    block of indices that no other node of its level shares. A block of `w` indices is missed altogether with chance
    u(w) = C(M - w, q) / C(M, q), whichever block it is. A leaf is opened if it is hit; a digest is sent for each node
    below the cap that is missed while its sibling is hit, which happens with chance u(w) - u(2w).
    """
    indices = 1 << log_indices
    total = log2_falling(indices, queries)

    def missed(block: int) -> float:
        return 2 ** (log2_falling(indices - block, queries) - total) if indices - block >= queries else 0.0

    block, nodes = 1 << (log_indices - tree.log_leaves), 1 << tree.log_leaves
    below = missed(block)
    leaves, digests = nodes * (1 - below), 0.0
    for _ in range(tree.log_leaves - cap_log):
        above = missed(2 * block)
        digests += nodes * (below - above)
        below, block, nodes = above, 2 * block, nodes // 2
    return leaves, digests


def proof_size(shape: Shape, parameters: Parameters) -> int:
    """The expected length in bytes of the STARK proof (section 8), without the envelope of section 11.

    Exact but for the openings, whose length depends on the query indices; of these it is the expectation.

    Raises:
        ProofFormatError: with code `PARAMETERS`: the parameters do not fit the shape.
    """
    layout = layout_of(shape, parameters)
    log_indices = layout.log_indices(parameters.log_blowup)
    size = 8.0 + 20 * (layout.sums + layout.openings + layout.final_length) + 8
    for tree in trees(layout, parameters.log_blowup):
        leaves, digests = expected_opening(tree, log_indices, parameters.queries, parameters.cap_log)
        cap = 1 << min(parameters.cap_log, tree.log_leaves) if tree.per_proof else 0
        size += 32 * cap + leaves * tree.leaf_bytes + 32 * digests
    return round(size)


def committed_bytes(shape: Shape, parameters: Parameters) -> int:
    """Bytes of the low-degree extensions of all columns, which the prover's memory follows.

    Raises:
        ProofFormatError: with code `PARAMETERS`: the parameters do not fit the shape.
    """
    levels = layout_of(shape, parameters).levels
    return sum(4 * sum(level.columns) << (level.log_length + parameters.log_blowup) for level in levels)


# --- time ---------------------------------------------------------------------------------------------------------


def _hashing(count: int, compressions: int = 1) -> float:
    """`count` hashes of equal length side by side: in lanes of eight, or one by one where that is faster."""
    return compressions * min(count * COMPRESSION_ALONE, -(-count // 8) * 8 * COMPRESSION_LANES)


def _tree_time(tree: Tree, cap_log: int) -> float:
    blocks = -(-tree.leaf_bytes // 64)
    chunks = -(-tree.leaf_bytes // 1024)
    time = _hashing(1 << tree.log_leaves, blocks + chunks - 1)
    return time + sum(_hashing(1 << level) for level in range(min(cap_log, tree.log_leaves), tree.log_leaves))


@attrs.frozen
class Transforms:
    """What passes through number-theoretic transforms."""

    elements: float
    """Of the base field, once for each transform."""
    butterflies: float
    """Elements times levels of the transform."""


def transforms(shape: Shape, layout: Layout, log_blowup: int) -> Transforms:
    """Those of one proof: columns to coefficients and to the cosets of the quotient, the quotient to its chunks, the
    extensions of all of them, and the FRI layers."""
    elements = butterflies = 0.0
    for table, place in zip(shape.tables, layout.tables, strict=True):
        once = table.columns + EXTENSION_DEGREE * table.lookup_columns
        quotient = EXTENSION_DEGREE * place.chunks
        passed = ((once + table.preprocessed) * place.chunks + once + quotient) << table.log_height
        extended = (once + quotient) << (place.log_length + log_blowup)
        elements += passed + extended
        butterflies += passed * table.log_height + extended * place.log_length
    mask = EXTENSION_DEGREE << (layout.log_length + log_blowup) if layout.zk else 0
    folded = [(level.log_length, EXTENSION_DEGREE << (level.log_length + log_blowup)) for level in layout.levels[:-1]]
    for log_length, count in [(layout.log_length, mask), *folded[1 if layout.narrow else 0 :]]:
        elements += count
        butterflies += count * log_length
    return Transforms(elements, butterflies)


def predicted_time(shape: Shape, parameters: Parameters) -> float:
    """Predicted nanoseconds to make one proof on one core, without the trace.

    Raises:
        ProofFormatError: with code `PARAMETERS`: the parameters do not fit the shape.
    """
    layout, log_blowup = layout_of(shape, parameters), parameters.log_blowup
    moved = transforms(shape, layout, log_blowup)
    time = moved.butterflies * BUTTERFLY + moved.elements * MULTIPLY
    for table, place in zip(shape.tables, layout.tables, strict=True):
        # The instructions are not part of a shape; this is about what a program needs.
        degree = max([1, *(degree for degree, _ in table.terms), *table.lookup_degrees])
        instructions = table.openings + place.chunks + 2 * table.constraints * degree
        time += table.height * place.chunks * instructions * INSTRUCTION
        time += table.height * table.interactions * (1 + place.chunks) * FRACTION
        # out-of-domain values, and their batching
        time += 2 * EXTENSION_DEGREE * place.length * (table.openings + place.chunks) * MULTIPLY
    absorbed = 20 * (layout.sums + layout.openings + layout.final_length)
    for tree in trees(layout, log_blowup):
        time += _tree_time(tree, parameters.cap_log) if tree.per_proof else 0.0
        time += parameters.queries * (tree.leaf_bytes / 4 * GATHER + tree.log_leaves * DIGEST)
        absorbed += 32 << min(parameters.cap_log, tree.log_leaves)
    # Transcript: what is absorbed, what is drawn, and about one compression more for each challenge.
    drawn = 4 * parameters.queries + (20 * layout.batched if parameters.independent else 20)
    time += ((absorbed + drawn) / 64 + 6 + layout.folds) * COMPRESSION_ALONE
    if parameters.grinding_bits:
        time += (1 << parameters.grinding_bits) * COMPRESSION_LANES
    return time
