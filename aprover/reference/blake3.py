"""Section 2: BLAKE3 in keyed mode.

After "BLAKE3: one function, fast everywhere" (O'Connor, Aumasson, Neves and Wilcox-O'Hearn, 2020).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

MASK = 0xFFFFFFFF
BLOCK, CHUNK = 64, 1024
CHUNK_START, CHUNK_END, PARENT, ROOT, KEYED_HASH = 1, 2, 4, 8, 16
IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
ROUNDS = 7
# The four columns, then the four diagonals, of the 4 by 4 state.
QUARTERS = tuple((i, 4 + i, 8 + i, 12 + i) for i in range(4)) + tuple(
    (i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4) for i in range(4)
)


def _schedule() -> tuple[tuple[int, int, int, int, int, int], ...]:
    """For every quarter round of every round: its four state words and its two message words."""
    order = list(range(16))
    steps = []
    for _ in range(ROUNDS):
        steps += [(*quarter, order[2 * i], order[2 * i + 1]) for i, quarter in enumerate(QUARTERS)]
        order = [order[i] for i in PERMUTATION]
    return tuple(steps)


SCHEDULE = _schedule()


def compress(cv: tuple[int, ...], block: bytes, counter: int, length: int, flags: int) -> tuple[int, ...]:
    """Sixteen words of output, of which the first 8 are the chaining value; `block` is padded to 64 bytes."""
    m = struct.unpack("<16I", block)
    v = [*cv, *IV[:4], counter & MASK, counter >> 32, length, flags]
    for ia, ib, ic, id_, x, y in SCHEDULE:
        a, b, c, d = v[ia], v[ib], v[ic], v[id_]
        a = (a + b + m[x]) & MASK
        d ^= a
        d = (d >> 16 | d << 16) & MASK
        c = (c + d) & MASK
        b ^= c
        b = (b >> 12 | b << 20) & MASK
        a = (a + b + m[y]) & MASK
        d ^= a
        v[id_] = d = (d >> 8 | d << 24) & MASK
        v[ic] = c = (c + d) & MASK
        b ^= c
        v[ia], v[ib] = a, (b >> 7 | b << 25) & MASK
    return tuple([v[i] ^ v[i + 8] for i in range(8)] + [v[i + 8] ^ cv[i] for i in range(8)])


class Node:
    """A node of the tree before it is known whether it is the root: the arguments of its last compression."""

    def __init__(self, cv: tuple[int, ...], block: bytes, counter: int, length: int, flags: int) -> None:
        self.cv, self.block, self.counter, self.length, self.flags = cv, block, counter, length, flags

    def chaining_value(self) -> tuple[int, ...]:
        return compress(self.cv, self.block, self.counter, self.length, self.flags)[:8]

    def root_blocks(self) -> Iterator[bytes]:
        """The extended output, 64 bytes at a time, without end."""
        counter = 0
        while True:
            yield struct.pack("<16I", *compress(self.cv, self.block, counter, self.length, self.flags | ROOT))
            counter += 1


def _chunk(key: tuple[int, ...], data: bytes, index: int) -> Node:
    """The node of one chunk of at most 1024 bytes."""
    cv, flags = key, KEYED_HASH | CHUNK_START
    last = max(0, (len(data) - 1) // BLOCK) * BLOCK
    for at in range(0, last, BLOCK):
        cv = compress(cv, data[at : at + BLOCK], index, BLOCK, flags)[:8]
        flags = KEYED_HASH
    block = data[last:]
    return Node(cv, block.ljust(BLOCK, b"\0"), index, len(block), flags | CHUNK_END)


def _parent(key: tuple[int, ...], left: Node, right: Node) -> Node:
    block = struct.pack("<16I", *left.chaining_value(), *right.chaining_value())
    return Node(key, block, 0, BLOCK, KEYED_HASH | PARENT)


def _tree(key: tuple[int, ...], data: bytes) -> Node:
    """The root node.

    A left subtree is the largest complete one that leaves something to its right; pairing level by level
    from the left, with an odd last node moving up as it is, gives just that tree.
    """
    level = [_chunk(key, data[at : at + CHUNK], at // CHUNK) for at in range(0, max(1, len(data)), CHUNK)]
    while len(level) > 1:
        pairs = [_parent(key, level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = pairs + level[2 * len(pairs) :]
    return level[0]


def keyed_xof(key: bytes, data: bytes) -> Iterator[bytes]:
    """The extended output of BLAKE3 under a 32-byte key, in blocks of 64 bytes, without end."""
    return _tree(struct.unpack("<8I", key), data).root_blocks()


def keyed_hash(key: bytes, data: bytes) -> bytes:
    """H(key, data): 32 bytes."""
    return next(keyed_xof(key, data))[:32]


def named_key(name: str) -> bytes:
    """An ASCII string padded with zero bytes to 32 bytes."""
    return name.encode("ascii").ljust(32, b"\0")


K_LEAF = named_key("aprover v2 merkle leaf")
K_NODE = named_key("aprover v2 merkle node")
K_AIR = named_key("aprover v2 air")
K_TRANSCRIPT = named_key("aprover v2 transcript")
