"""The programs that come with aprover."""

from __future__ import annotations

from .fibonacci import Fibonacci

__all__ = ["Fibonacci"]
