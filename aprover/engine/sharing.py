"""Requests of one batch that share one proof, in an engine that was opened with ``aggregate="auto"``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import cast

from ..aggregate import AggregateMember
from ..air import CompiledAir
from ..air.stacking import refusal
from ..backends import Control, Layout, Prefer, aggregate_layout, prepare_aggregate
from ..errors import AproverError
from .cost import Work, work_of
from .flights import Flight
from .request import Request

__all__ = ["LEAST", "share"]

LEAST = 4
"""Requests. Fewer would save less than their answers cost."""
MOST = 1024
"""More would make those who wait for one of them wait for many."""
GAIN = 0.9
"""Of the predicted time of single proofs an aggregate may take this much at most."""


def share(flights: Sequence[Flight], predict: Callable[[Work], float]) -> dict[int, AggregateMember]:
    """Makes aggregates of those that are alike and quicker together. Synchronous; on a worker.

    They are of a power of two of requests each, so that layouts, which take milliseconds to choose, are known after a
    few batches. What fails together is left to be proved alone, where each has a failure of its own.

    Args:
        flights: Of requests with traces from C.
        predict: Seconds that a proof takes.

    Returns:
        By their places the answers of those that shared a proof.
    """
    answers: dict[int, AggregateMember] = {}
    for (air, security, prefer), places in _alike(flights).items():
        for some in _powers_of_two(places):
            try:
                layout = aggregate_layout(((air, len(some)),), security, prefer, False)
                if predict(_work(layout)) > GAIN * sum([flights[place].predicted for place in some]):
                    continue
                programs = [cast(Request, flights[place].request).program for place in some]
                proof = prepare_aggregate(programs, security=security, prefer=prefer).prove(Control())
            except AproverError:
                continue
            answers.update((place, proof.member(i)) for i, place in enumerate(some))
    return answers


def _alike(flights: Sequence[Flight]) -> dict[tuple[CompiledAir, int, Prefer], list[int]]:
    """The places of flights with the same constraints and settings, masked proofs and limits of memory left out."""
    found: dict[tuple[CompiledAir, int, Prefer], list[int]] = {}
    for place, flight in enumerate(flights):
        request = cast(Request, flight.request)
        security, _, prefer, _, zk = request.settings
        air = request.program.compiled()
        if not zk and request.memory_limit is None and refusal(air) is None:
            found.setdefault((air, security, prefer), []).append(place)
    return found


def _powers_of_two(places: Sequence[int]) -> Iterator[Sequence[int]]:
    at = 0
    while (left := len(places) - at) >= LEAST:
        size = min(MOST, 1 << left.bit_length() - 1)
        yield places[at : at + size]
        at += size


@functools.lru_cache(maxsize=256)
def _work(layout: Layout) -> Work:
    return work_of(layout.shape, layout.parameters, instructions=layout.instructions)
