"""Hashing, the transcript, and Merkle trees, after docs/protocol.md sections 2, 3 and 6."""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator, Sequence

import blake3

from tests.support.toy_field import DEGREE, Array, P, array


def key(name: str) -> bytes:
    """A BLAKE3 key: an ASCII string padded with zero bytes."""
    return name.encode("ascii").ljust(32, b"\0")


K_LEAF = key("aprover v2 merkle leaf")
K_NODE = key("aprover v2 merkle node")
K_AIR = key("aprover v2 air")
K_TRANSCRIPT = key("aprover v2 transcript")


def hash_with(k: bytes, data: bytes) -> bytes:
    """`H(key, data)`: 32 bytes."""
    return blake3.blake3(data, key=k).digest()


class Tag(enum.IntEnum):
    """Tags of what is absorbed (section 3)."""

    PROTOCOL = 1
    PARAMETERS = 2
    AIR = 3
    HEIGHT = 4
    PUBLICS = 5
    STATEMENT = 6
    TRACE_CAP = 7
    QUOTIENT_CAP = 8
    OPENINGS = 9
    FRI_CAP = 10
    FINAL = 11
    NONCE = 12
    PREPROCESSED_CAP = 13
    LOOKUP_CAP = 14
    LOOKUP_SUM = 15


class Transcript:
    """The Fiat-Shamir transcript. `states` lists every state squeezed so far: equal states mean equal challenges."""

    def __init__(self) -> None:
        self.state = K_TRANSCRIPT
        self.buffer = b""
        self.states: list[bytes] = []

    def copy(self) -> Transcript:
        """A transcript that goes its own way from here."""
        other = Transcript()
        other.state, other.buffer, other.states = self.state, self.buffer, list(self.states)
        return other

    def absorb(self, tag: int, data: bytes) -> None:
        """Append one tagged message with its length."""
        self.buffer += struct.pack("<BQ", tag, len(data)) + data

    def squeeze(self) -> Iterator[int]:
        """Move to the next state at once; the iterator gives the words of this squeeze, without end."""
        hasher = blake3.blake3(self.buffer, key=self.state)
        self.state = hasher.digest(length=32)
        self.buffer = b""
        self.states.append(self.state)
        return _words(hasher)

    def elements(self, count: int) -> Array:
        """`count` challenge elements of one squeeze: shape (count, 5)."""
        words = self.squeeze()
        out: list[int] = []
        while len(out) < DEGREE * count:
            value = next(words) & 0x7FFFFFFF
            if value < P:
                out.append(value)
        return array(out).reshape(count, DEGREE)

    def element(self) -> Array:
        """One challenge element."""
        return self.elements(1).reshape(DEGREE)

    def indices(self, count: int, domain: int) -> list[int]:
        """`count` distinct indices below the power of two `domain`, ascending."""
        words = self.squeeze()
        assert count <= domain
        taken: set[int] = set()
        while len(taken) < count:
            taken.add(next(words) & (domain - 1))
        return sorted(taken)


def _words(hasher: blake3.blake3) -> Iterator[int]:
    seek = 32
    while True:
        yield from struct.unpack("<256I", hasher.digest(length=1024, seek=seek))
        seek += 1024


class Tree:
    """A Merkle tree over leaves given as bytes; `levels[0]` are the leaf digests, the last level is the cap."""

    def __init__(
        self, leaves: Sequence[bytes], cap_log: int, leaf_key: bytes = K_LEAF, node_key: bytes = K_NODE
    ) -> None:
        self.leaves = list(leaves)
        self.levels = [[hash_with(leaf_key, leaf) for leaf in leaves]]
        while len(self.levels[-1]) > 1 << cap_log:
            below = self.levels[-1]
            self.levels.append([hash_with(node_key, below[i] + below[i + 1]) for i in range(0, len(below), 2)])

    @property
    def cap(self) -> bytes:
        """The cap's digests in order."""
        return b"".join(self.levels[-1])

    def multiproof(self, indices: Sequence[int]) -> list[bytes]:
        """The digests that a verifier needs besides the leaves of these sorted distinct indices."""
        out: list[bytes] = []
        for level in self.levels[:-1]:
            here = set(indices)
            out += [level[i ^ 1] for i in indices if i ^ 1 not in here]
            indices = sorted({i >> 1 for i in indices})
        return out


def elements_to_bytes(elements: Array) -> bytes:
    """Base or extension elements as `u32` words in order."""
    return elements.astype("<u4").tobytes()
