"""Flights: the proofs that are waited for."""

from __future__ import annotations

from ..backends import Control
from .messages import Request

__all__ = ["Flight"]


class Flight:
    """One proof under way and those who wait for it.

    Attributes, for shells (read only): number, request, work, control, predicted (seconds), opened (clock).
    """

    number: int
    request: Request
    control: Control
    predicted: float
    opened: float
