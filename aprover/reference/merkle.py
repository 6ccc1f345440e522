"""Section 6: trees, caps and multi-proofs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .blake3 import K_LEAF, K_NODE, keyed_hash


def cap_of(leaves: Iterable[bytes], cap_log: int) -> list[bytes]:
    """The cap, of 2^cap_log nodes, of the tree over these leaves, a power of two in number."""
    level = [keyed_hash(K_LEAF, leaf) for leaf in leaves]
    while len(level) > 1 << cap_log:
        level = [keyed_hash(K_NODE, left + right) for left, right in zip(level[::2], level[1::2], strict=True)]
    return level


def multiproof_length(indices: Sequence[int], levels: int) -> int:
    """The number of digests in the multi-proof of these distinct leaves."""
    count, known = 0, set(indices)
    for _ in range(levels):
        count += sum(index ^ 1 not in known for index in known)
        known = {index >> 1 for index in known}
    return count


def multiproof_holds(cap: Sequence[bytes], levels: int, leaves: Mapping[int, bytes], digests: Sequence[bytes]) -> bool:
    """Whether the leaves, by index, and the digests, of which there are just enough, lead to the cap."""
    proof = iter(digests)
    level = {index: keyed_hash(K_LEAF, leaf) for index, leaf in leaves.items()}
    for _ in range(levels):
        above: dict[int, bytes] = {}
        for index in sorted(level):
            if index >> 1 in above:
                continue  # the right one of two siblings that are both there
            sibling = level[index ^ 1] if index ^ 1 in level else next(proof)
            left, right = (sibling, level[index]) if index & 1 else (level[index], sibling)
            above[index >> 1] = keyed_hash(K_NODE, left + right)
        level = above
    return all(cap[index] == digest for index, digest in level.items())
