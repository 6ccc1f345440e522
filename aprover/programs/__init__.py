"""The programs that come with aprover."""

from __future__ import annotations

from .fibonacci import Fibonacci
from .poseidon2_chain import Poseidon2Chain

__all__ = ["Fibonacci", "Poseidon2Chain"]
