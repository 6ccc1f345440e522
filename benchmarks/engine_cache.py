"""``make bench-cache``: would another rule of eviction than the least recently used keep better proofs?

W-TinyLFU (Einziger, Friedman, Manes, 2017) against the engine's own `ProofCache`, over traces of requests as a program
may make them, each at caches of 2 %, 10 % and 30 % of all its bytes. Figures are shares of the time of proving that the
cache saved, since proofs differ in what they cost; they are the same on every machine.
"""

from __future__ import annotations

import itertools
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Protocol, cast

import attrs

from aprover import Proof
from aprover.engine.cache import ENTRY_BYTES, ProofCache

from .measuring import Figure

LENGTH = 60_000
SHARES = (0.02, 0.1, 0.3)
CLEARLY = 0.02
"""A share of the time of proving that would be worth another rule."""


class Cache(Protocol):
    """What a rule of eviction has to offer."""

    def get(self, key: Hashable) -> object | None:
        """What is kept, or None."""

    def put(self, key: Hashable, value: Proof, size: int) -> None:
        """Keeps it, perhaps."""


class _Sketch:
    """How often keys were asked for lately, about: a count-min sketch of four rows, halved every `period` requests."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._rows = [bytearray(width) for _ in range(4)]
        self._period = 10 * width
        self._seen = 0

    def _places(self, key: Hashable) -> Iterator[tuple[bytearray, int]]:
        return ((row, hash((i, key)) % self._width) for i, row in enumerate(self._rows))

    def add(self, key: Hashable) -> None:
        for row, place in self._places(key):
            row[place] = min(15, row[place] + 1)
        self._seen += 1
        if self._seen >= self._period:
            self._seen //= 2
            self._rows = [bytearray(count >> 1 for count in row) for row in self._rows]

    def count(self, key: Hashable) -> int:
        return min(row[place] for row, place in self._places(key))


class _Part:
    """One list of W-TinyLFU, the least recently used first."""

    def __init__(self, max_bytes: float) -> None:
        self.max_bytes = max_bytes
        self.entries: OrderedDict[Hashable, tuple[Proof, int]] = OrderedDict()
        self.bytes = 0

    def add(self, key: Hashable, entry: tuple[Proof, int]) -> None:
        self.entries[key] = entry
        self.bytes += entry[1]

    def take(self, key: Hashable) -> tuple[Proof, int]:
        entry = self.entries.pop(key)
        self.bytes -= entry[1]
        return entry


class WTinyLFU:
    """A window of 1 % for what is new, and a main part in which only what is asked for more often replaces others.

    Args:
        max_bytes: As for `ProofCache`.
        expected: About how many entries fit.
    """

    def __init__(self, max_bytes: int, expected: int) -> None:
        self._window = _Part(0.01 * max_bytes)
        self._probation = _Part(0.99 * max_bytes)
        self._protected = _Part(0.8 * 0.99 * max_bytes)
        self._sketch = _Sketch(max(64, 8 * expected))

    def get(self, key: Hashable) -> Proof | None:
        """What is kept, or None."""
        self._sketch.add(key)
        for part in (self._window, self._protected):
            if key in part.entries:
                part.entries.move_to_end(key)
                return part.entries[key][0]
        if key not in self._probation.entries:
            return None
        entry = self._probation.take(key)
        self._protected.add(key, entry)
        while self._protected.bytes > self._protected.max_bytes:
            oldest = next(iter(self._protected.entries))
            self._probation.add(oldest, self._protected.take(oldest))
        return entry[0]

    def put(self, key: Hashable, value: Proof, size: int) -> None:
        """Keeps it in the window; what leaves the window has to be worth its place."""
        self._window.add(key, (value, size + ENTRY_BYTES))
        while self._window.bytes > self._window.max_bytes:
            candidate = next(iter(self._window.entries))
            self._admit(candidate, self._window.take(candidate))

    def _admit(self, key: Hashable, entry: tuple[Proof, int]) -> None:
        """Instead of the victims that it needs the place of, if it is asked for more often than each of them."""
        room = self._probation.max_bytes - self._probation.bytes - self._protected.bytes
        victims: list[Hashable] = []
        for victim in itertools.chain(self._probation.entries, self._protected.entries):
            if room >= entry[1]:
                break
            if self._sketch.count(victim) >= self._sketch.count(key):
                return
            victims.append(victim)
            part = self._probation if victim in self._probation.entries else self._protected
            room += part.entries[victim][1]
        if room < entry[1]:
            return
        for victim in victims:
            (self._probation if victim in self._probation.entries else self._protected).take(victim)
        self._probation.add(key, entry)


# --- traces ----------------------------------------------------------------------------------------------------------


def _zipf(rng: random.Random, kinds: int, skew: float) -> Callable[[], int]:
    weights = list(itertools.accumulate(1 / (i + 1) ** skew for i in range(kinds)))
    return lambda: rng.choices(range(kinds), cum_weights=weights)[0]


def popular(rng: random.Random) -> Iterator[int]:
    """A service whose inputs are more or less popular, always the same ones."""
    pick = _zipf(rng, 20_000, 0.9)
    return (pick() for _ in range(LENGTH))


def drifting(rng: random.Random) -> Iterator[int]:
    """The same, but what is popular changes all the time, as days go by."""
    pick = _zipf(rng, 20_000, 0.9)
    return (pick() + i // 20 for i in range(LENGTH))


def retried(rng: random.Random) -> Iterator[int]:
    """Inputs that are new, and asked for a few times within a short while: retries, replicas, several readers."""
    recent = [0]
    for i in range(LENGTH):
        if rng.random() < 0.4:
            recent.append(i)
        yield recent[-1 - min(len(recent) - 1, int(rng.expovariate(1 / 60)))]


def scanned(rng: random.Random) -> Iterator[int]:
    """Popular inputs, and now and then a batch over thousands that nobody asks for again."""
    pick = _zipf(rng, 5_000, 1.0)
    fresh = itertools.count(10**6)
    while True:
        yield from (pick() for _ in range(3_000))
        yield from itertools.islice(fresh, 2_000)


def looped(rng: random.Random) -> Iterator[int]:  # noqa: ARG001 - as the others
    """A batch that is made again and again, in the same order."""
    return (i % 4_000 for i in range(LENGTH))


TRACES: dict[str, Callable[[random.Random], Iterator[int]]] = {
    "popular": popular,
    "drifting": drifting,
    "retried": retried,
    "scanned": scanned,
    "looped": looped,
}


@attrs.frozen
class _Kind:
    """What a proof costs, by the figures of small, medium and large ones."""

    seconds: float
    size: int


def _kind(key: int) -> _Kind:
    seconds, size = random.Random(key).choices(
        ((50e-6, 6_000), (500e-6, 20_000), (10e-3, 60_000), (200e-3, 110_000)), (60, 30, 9, 1)
    )[0]
    return _Kind(seconds, size)


def saved(cache: Cache, keys: list[int], kinds: dict[int, _Kind]) -> tuple[float, float]:
    """The share of the time of proving that the cache saves, and the seconds that each request took of the cache."""
    spent = whole = 0.0
    value = cast(Proof, b"")
    begun = time.perf_counter()
    for key in keys:
        kind = kinds[key]
        whole += kind.seconds
        if cache.get(key) is None:
            spent += kind.seconds
            cache.put(key, value, kind.size)
    return 1 - spent / whole, (time.perf_counter() - begun) / len(keys)


def bench_cache(quick: bool) -> list[Figure]:
    """What W-TinyLFU would save beyond the engine's cache, of the time of proving, over traces of requests."""
    figures = []
    gains = []
    for name, trace in TRACES.items():
        keys = list(itertools.islice(trace(random.Random(1)), LENGTH // 6 if quick else LENGTH))
        kinds = {key: _kind(key) for key in keys}
        everything = sum(kind.size + ENTRY_BYTES for kind in kinds.values())
        for share in SHARES:
            room = int(share * everything)
            ours, our_time = saved(ProofCache(room), keys, kinds)
            theirs, their_time = saved(WTinyLFU(room, int(share * len(kinds))), keys, kinds)
            gains.append(theirs - ours)
            note = (
                f"LRU saves {ours:.1%}, W-TinyLFU {theirs:.1%}; {their_time / our_time:.0f} times the cache's own time"
            )
            figures.append(Figure(f"{name}, room for {share:.0%}", (theirs - ours) * 100, "% points", note=note))
    won = sum(gain > CLEARLY for gain in gains)
    lost = sum(gain < -CLEARLY for gain in gains)
    figures.append(
        Figure("traces and sizes where W-TinyLFU wins clearly", won, f"of {len(gains)}", note=f"lost {lost}")
    )
    return figures


def main() -> None:
    from .engine import line

    for figure in bench_cache(quick=False):
        print(line(figure))


if __name__ == "__main__":
    main()
