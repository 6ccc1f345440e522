"""What a proof costs: its expected bytes (docs/protocol.md, section 8) and a prediction of the time to make it.

The time is a model, good enough to compare parameters of one shape with each other; the engine's own cost model, which
is fitted on the machine, decides where and when to prove.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from aprover.security.shape import Parameters, Shape, check_fit, log_index_domain
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
GATHER = 4.0
"""One value copied out of a column into a leaf that is opened."""
DIGEST = 10.0
"""One digest found and copied into a multi-proof."""


@attrs.frozen
class Tree:
    """One Merkle tree of a proof."""

    log_leaves: int
    leaf_bytes: int


def trees(shape: Shape, log_blowup: int) -> Iterator[Tree]:
    """The trees in the order of the proof: trace, quotient, committed FRI layers (section 6 and 7)."""
    log_domain = shape.log_height + log_blowup
    rows = 8 if shape.narrow else 1
    log_leaves = log_index_domain(shape, log_blowup)
    yield Tree(log_leaves, 4 * rows * shape.columns)
    yield Tree(log_leaves, 4 * rows * 5 * shape.chunks)
    for t in range(1 if shape.narrow else 0, shape.folds):
        yield Tree(log_domain - 3 * (t + 1), 4 * 8 * 5)


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
    check_fit(shape, parameters)
    log_indices = log_index_domain(shape, parameters.log_blowup)
    size = 8.0 + 20 * shape.openings + 20 * shape.final_length + 8
    for tree in trees(shape, parameters.log_blowup):
        leaves, digests = expected_opening(tree, log_indices, parameters.queries, parameters.cap_log)
        size += 32 * (1 << min(parameters.cap_log, tree.log_leaves)) + leaves * tree.leaf_bytes + 32 * digests
    return round(size)


def committed_bytes(shape: Shape, parameters: Parameters) -> int:
    """Bytes of the low-degree extensions of trace and quotient, which the prover's memory follows."""
    columns = shape.columns + 5 * shape.chunks
    return 4 * columns << (shape.log_height + parameters.log_blowup)


# --- time ---------------------------------------------------------------------------------------------------------


def _hashing(count: int, compressions: int = 1) -> float:
    """`count` hashes of equal length side by side: in lanes of eight, or one by one where that is faster."""
    return compressions * min(count * COMPRESSION_ALONE, -(-count // 8) * 8 * COMPRESSION_LANES)


def _tree_time(tree: Tree, cap_log: int) -> float:
    blocks = -(-tree.leaf_bytes // 64)
    chunks = -(-tree.leaf_bytes // 1024)
    time = _hashing(1 << tree.log_leaves, blocks + chunks - 1)
    return time + sum(_hashing(1 << level) for level in range(min(cap_log, tree.log_leaves), tree.log_leaves))


def _ntt(log_size: int, columns: int, cosets: int = 1) -> float:
    return (1 << log_size) * columns * cosets * (log_size * BUTTERFLY + MULTIPLY)


def predicted_time(shape: Shape, parameters: Parameters) -> float:
    """Predicted nanoseconds to make one proof on one core, without the trace.

    Raises:
        ProofFormatError: with code `PARAMETERS`: the parameters do not fit the shape.
    """
    check_fit(shape, parameters)
    log_k, log_blowup, k = shape.log_height, parameters.log_blowup, 1 << shape.log_height
    quotient_columns = 5 * shape.chunks
    # The same for all parameters. The instructions are not part of a shape; this is about what a program needs.
    instructions = shape.openings + 2 * shape.constraints * shape.degree
    time = _ntt(log_k, shape.columns, 1 + shape.chunks) + _ntt(log_k, quotient_columns)
    time += k * shape.chunks * instructions * INSTRUCTION
    time += 2 * 5 * k * shape.openings * MULTIPLY  # out-of-domain values, and their batching
    # Low-degree extensions and trees.
    time += _ntt(log_k, shape.columns + quotient_columns, 1 << log_blowup)
    for t in range(1 if shape.narrow else 0, shape.folds):
        time += _ntt(log_k - 3 * t, 5, 1 << log_blowup)
    absorbed = 20 * (shape.openings + shape.final_length)
    for tree in trees(shape, log_blowup):
        time += _tree_time(tree, parameters.cap_log)
        time += parameters.queries * (tree.leaf_bytes / 4 * GATHER + tree.log_leaves * DIGEST)
        absorbed += 32 << min(parameters.cap_log, tree.log_leaves)
    # Transcript: what is absorbed, what is drawn, and about one compression more for each challenge.
    drawn = 4 * parameters.queries + (20 * shape.openings if parameters.independent else 20)
    time += ((absorbed + drawn) / 64 + 6 + shape.folds) * COMPRESSION_ALONE
    if parameters.grinding_bits:
        time += (1 << parameters.grinding_bits) * COMPRESSION_LANES
    return time
