"""How the bytes of a proof are read, and how a proof is rejected (sections 8 and 9)."""

from __future__ import annotations

from .field import F, P, elements, words


class Rejected(Exception):
    """The proof is not accepted; `code` is a code of section 9."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def require(condition: bool, code: str) -> None:
    """Rejects with `code` unless `condition` holds."""
    if not condition:
        raise Rejected(code)


class Reader:
    """Takes parts off the front of a proof."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, length: int) -> bytes:
        require(len(self.data) - self.position >= length, "TRUNCATED")
        self.position += length
        return self.data[self.position - length : self.position]

    def finish(self) -> None:
        require(self.position == len(self.data), "TRAILING")


def canonical(data: bytes) -> tuple[int, ...]:
    """The elements of Fp in `data`."""
    values = words(data)
    require(all(value < P for value in values), "NON_CANONICAL")
    return values


def canonical_elements(data: bytes) -> list[F]:
    """The elements of F in `data`."""
    return elements(canonical(data))
