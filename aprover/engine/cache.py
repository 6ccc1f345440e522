"""The proof cache: least recently used first out, bounded in bytes.

Plain LRU, on purpose: docs/architecture.md has the figures of W-TinyLFU against it (``make bench-cache``).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from ..proof import Proof

__all__ = ["ENTRY_BYTES", "ProofCache"]

ENTRY_BYTES = 200
"""What an entry takes beyond its key and its proof: the dictionary's slot and link, the tuple, the objects' heads."""


class ProofCache:
    """Proofs by key. Not thread-safe: the core calls it under its own lock.

    Args:
        max_bytes: The sum over the entries of key, proof and `ENTRY_BYTES` never exceeds it. 0 keeps nothing.
    """

    __slots__ = ("_entries", "bytes", "evictions", "max_bytes")

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        """What the entries take, now."""
        self.evictions = 0
        """How many entries had to go."""
        self._entries: OrderedDict[Hashable, tuple[Proof, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> Proof | None:
        """The proof, which becomes the most recently used; or None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: Hashable, proof: Proof, size: int) -> None:
        """Keeps a proof, as the most recently used, at the cost of the least recently used ones.

        Args:
            size: Bytes of key and proof. An entry that would not fit even alone is not kept.
        """
        size += ENTRY_BYTES
        old = self._entries.pop(key, None)
        if old is not None:
            self.bytes -= old[1]
        if size > self.max_bytes:
            return
        while self.bytes + size > self.max_bytes:
            _, (_, freed) = self._entries.popitem(last=False)
            self.bytes -= freed
            self.evictions += 1
        self._entries[key] = (proof, size)
        self.bytes += size

    def clear(self) -> None:
        """Forgets all entries."""
        self._entries.clear()
        self.bytes = 0
