"""Section 3: the transcript."""

from __future__ import annotations

import enum
from collections.abc import Iterator

from .blake3 import K_TRANSCRIPT, keyed_xof
from .field import DEGREE, F, P, elements, words


class Tag(enum.IntEnum):
    """What an absorbed item is."""

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
    """The verifier's side of the Fiat-Shamir transformation: a 32-byte state and a buffer."""

    def __init__(self) -> None:
        self.state = K_TRANSCRIPT
        self.buffer = bytearray()

    def absorb(self, tag: Tag, data: bytes) -> None:
        self.buffer += bytes([tag]) + len(data).to_bytes(8, "little") + data

    def squeeze(self) -> Iterator[int]:
        """Renews the state at once; gives the words of this squeeze, without end."""
        blocks = keyed_xof(self.state, bytes(self.buffer))
        first = next(blocks)
        self.state, self.buffer = first[:32], bytearray()

        def squeezed() -> Iterator[int]:
            yield from words(first[32:])
            for block in blocks:
                yield from words(block)

        return squeezed()

    def challenge_elements(self, count: int) -> list[F]:
        """`count` elements of F from one squeeze; rejection makes each coefficient uniform."""
        coefficients: list[int] = []
        source = self.squeeze()
        while len(coefficients) < DEGREE * count:
            value = next(source) & 0x7FFFFFFF
            if value < P:
                coefficients.append(value)
        return elements(coefficients)

    def challenge_element(self) -> F:
        return self.challenge_elements(1)[0]

    def challenge_indices(self, q: int, size: int) -> list[int]:
        """`q` distinct indices below `size`, a power of two that is at least `q`; sorted."""
        taken: set[int] = set()
        source = self.squeeze()
        while len(taken) < q:
            taken.add(next(source) & (size - 1))
        return sorted(taken)
