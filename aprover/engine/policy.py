"""Where a proof is made: on the loop's own thread, on a worker, or on several."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Policy"]


class Policy(Protocol):
    """Decides; frozen, without state of its own."""
