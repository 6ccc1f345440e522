"""The base field BabyBear on plain integers; docs/protocol.md, section 1."""

from __future__ import annotations

from typing import TypeGuard

P = 15 * 2**27 + 1
"""The modulus, 2013265921."""


def is_element(value: object) -> TypeGuard[int]:
    """Whether `value` is exactly an int (not a bool, not a subclass) in ``[0, P)``."""
    return type(value) is int and 0 <= value < P
