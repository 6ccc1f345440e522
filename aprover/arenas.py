"""Memory for the C core: an arena for each thread, which it keeps from one proof to the next while it is of use.

A new arena has to be cleared by the system, page by page: 8 to 10 % of a proof of 2^18, 2^20 or 2^22 rows, even in the
huge pages that numpy asks for. So an arena of any size stays while proofs like those before it follow. It goes when
several proofs in a row needed much less, or when its thread has lain idle for a while (`give_back`), so that a large
proof now and then does not hold memory for good.
"""

from __future__ import annotations

import threading
from typing import Any

from .loading import ALIGNMENT, aligned, ffi

__all__ = ["SMALL_BYTES", "SPARED", "arena", "give_back"]

SMALL_BYTES = 16 * 2**20
"""Arenas up to this size, that of 2^16 rows, stay with their thread for good."""
SPARED = 16
"""So many proofs in a row that need less than a quarter of a larger arena replace it."""

_local = threading.local()


def arena(size: int, most: int | None = None) -> tuple[Any, int]:
    """This thread's arena, or a new one: where it begins, and its length. What begins there keeps it alive.

    The first bytes of a new one are zero, as the C core asks. The one before is given back first.

    Args:
        size: Bytes that are needed.
        most: Bytes that it may have.

    Raises:
        MemoryError: There is no memory.
    """
    kept: tuple[Any, int] | None = getattr(_local, "arena", None)
    fits = kept is not None and size <= kept[1] and (most is None or kept[1] <= most)
    if kept is not None and fits and (kept[1] <= SMALL_BYTES or not _is_spared(kept[1], size)):
        return kept
    _local.arena = kept = None
    memory = aligned(size)
    memory[:ALIGNMENT] = 0
    _local.spared = 0
    _local.arena = kept = ffi.from_buffer("uint8_t[]", memory), size
    return kept


def _is_spared(length: int, size: int) -> bool:
    _local.spared = _local.spared + 1 if size < length // 4 else 0
    return bool(_local.spared >= SPARED)


def give_back() -> None:
    """Gives this thread's arena back, if it is not small."""
    kept: tuple[Any, int] | None = getattr(_local, "arena", None)
    if kept is not None and kept[1] > SMALL_BYTES:
        _local.arena = None
