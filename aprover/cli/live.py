"""What ``aprover stress --live`` shows while it runs."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Self

import attrs
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.measure import Measurement
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from aprover import EngineStatistics

__all__ = ["LiveView", "Sample", "sparkline"]

HISTORY = 48
"""Samples in a sparkline."""
BAR_WIDTH = 30
REFRESHES = 4
"""A second."""
PLAIN_SECONDS = 1.0
"""Between two lines where there is no terminal."""

_BLOCKS = " ▁▂▃▄▅▆▇█"


@attrs.frozen
class Sample:
    """What happened since the sample before. Times in seconds."""

    at: float
    """Since the first request."""
    seconds: float
    """Since the sample before."""
    answered: int
    cancelled: int
    """Callers that lost patience, in all."""
    latencies: Sequence[float]
    stalls: Sequence[float]
    """By how much the loop came late, each time that somebody looked."""
    occupancy: float
    """The share of the workers that had a batch, from 0 to 1."""
    statistics: EngineStatistics
    before: EngineStatistics
    """Those of the sample before."""


@attrs.frozen
class _Line:
    """A sample, worked out."""

    at: float
    throughput: float
    p50: float
    p90: float
    p99: float
    worst: float
    hits: float
    joins: float
    occupancy: float
    stall: float
    worst_stall: float


def _line(sample: Sample) -> _Line:
    seen, before = sample.statistics, sample.before
    requests = max(1, seen.requests - before.requests)
    latencies, stalls = sorted(sample.latencies), sorted(sample.stalls)
    return _Line(
        sample.at,
        sample.answered / sample.seconds if sample.seconds else 0.0,
        _rank(latencies, 0.5),
        _rank(latencies, 0.9),
        _rank(latencies, 0.99),
        _rank(latencies, 1.0),
        (seen.hits - before.hits) / requests,
        (seen.joins - before.joins) / requests,
        sample.occupancy,
        _rank(stalls, 0.99),
        _rank(stalls, 1.0),
    )


def _rank(ordered: Sequence[float], share: float) -> float:
    return ordered[round(share * (len(ordered) - 1))] if ordered else 0.0


def sparkline(values: Sequence[float]) -> str:
    """A character for each value, as tall as its share of the largest."""
    most = max(values, default=0.0)
    if most <= 0:
        return _BLOCKS[1] * len(values)
    return "".join(_BLOCKS[1 + round((len(_BLOCKS) - 2) * max(0.0, value) / most)] for value in values)


@attrs.frozen
class _Sparkline:
    """A sparkline of the latest values, as many as there is room for: what is left by the figures of now."""

    values: Sequence[float]

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(1, len(self.values)), len(self.values))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(sparkline(self.values[-options.max_width :]), justify="right")


class LiveView:
    """The view, as a context: on a terminal a panel that is drawn anew four times a second, else a line each second.

    It draws in a thread of its own, which ends with the context, so that the loop that is measured does not draw.

    Args:
        title: What is running.
        seconds: For how long new requests are made.
        workers: How many there are.
        cache_bytes: The bound of the cache.
        console: Where to; by default standard error.
    """

    def __init__(
        self, title: str, *, seconds: float, workers: int, cache_bytes: int, console: Console | None = None
    ) -> None:
        self._title, self._seconds, self._workers, self._cache_bytes = title, seconds, workers, cache_bytes
        self._console = Console(stderr=True) if console is None else console
        self._lines: deque[_Line] = deque(maxlen=HISTORY)
        self._sample: Sample | None = None
        self._fresh: list[Sample] = []
        self._lock = threading.Lock()
        self._next_plain = PLAIN_SECONDS
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(
                get_renderable=self.render, console=self._console, refresh_per_second=REFRESHES, transient=True
            )
            self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, sample: Sample) -> None:
        """Takes the next sample, from any thread, and at once."""
        with self._lock:
            self._fresh.append(sample)
        if self._live is None and sample.at >= self._next_plain:
            self._next_plain = sample.at + PLAIN_SECONDS
            self._work_out()
            print(self._plain(self._lines[-1]), file=self._console.file)

    def _work_out(self) -> None:
        """Sorts what came since the last time; in the thread that draws."""
        with self._lock:
            fresh, self._fresh = self._fresh, []
        self._lines.extend(map(_line, fresh))
        self._sample = fresh[-1] if fresh else self._sample

    def _plain(self, line: _Line) -> str:
        return (
            f"{line.at:6.1f} s  {line.throughput:>9,.0f} answers/s  p50 {_ms(line.p50)}  p99 {_ms(line.p99)}  "
            f"hits {line.hits:4.0%}  joins {line.joins:4.0%}  workers {line.occupancy:4.0%}  "
            f"loop late by {_ms(line.worst_stall)} at most"
        )

    def render(self) -> RenderableType:
        """The panel."""
        self._work_out()
        sample, lines = self._sample, list(self._lines)
        if sample is None:
            return Panel("starting", title=self._title, border_style="dim")
        return Panel(
            Group(self._progress(sample), "", self._table(sample, lines)), title=self._title, border_style="cyan"
        )

    def _progress(self, sample: Sample) -> Text:
        share = min(1.0, sample.at / self._seconds) if self._seconds else 1.0
        over = sample.at > self._seconds
        what = "the last answers" if over else f"{sample.at:.1f} of {self._seconds:g} s"
        return Text.assemble(_bar(share, "cyan"), f"  {what}")

    def _table(self, sample: Sample, lines: Sequence[_Line]) -> Table:
        now, seen = lines[-1], sample.statistics
        table = Table(box=None, padding=(0, 2, 0, 0), expand=True, header_style="dim")
        table.add_column(style="bold", no_wrap=True)
        table.add_column("now", no_wrap=True)
        table.add_column("past", style="cyan", justify="right", ratio=1)

        def add(name: str, value: str | Text, history: Sequence[float] = ()) -> None:
            table.add_row(name, value, _Sparkline(history))

        add("throughput", f"{now.throughput:,.0f} answers a second", [line.throughput for line in lines])
        times = f"p50 {_ms(now.p50)}  p90 {_ms(now.p90)}  p99 {_ms(now.p99)}  max {_ms(now.worst)}"
        add("latency", times, [line.p99 for line in lines])
        add("hits", Text.assemble(_bar(now.hits, "green"), f" {now.hits:.0%}"), [line.hits for line in lines])
        add("joins", Text.assemble(_bar(now.joins, "blue"), f" {now.joins:.0%}"), [line.joins for line in lines])
        busy = Text.assemble(_bar(now.occupancy, "magenta"), f" {now.occupancy:.0%} of {self._workers}")
        add("workers", busy, [line.occupancy for line in lines])
        add("loop late", f"p99 {_ms(now.stall)}  max {_ms(now.worst_stall)}", [line.worst_stall for line in lines])
        add("waiting", f"{seen.waiters:,} callers, {seen.queued:,} proofs queued, {seen.parked:,} not admitted")
        placed = f"{seen.inline:,} inline, {seen.offloaded:,} by a worker, {seen.split:,} split"
        add("proofs", f"{placed}; {seen.mean_batch_size:.1f} a batch")
        add(
            "cache",
            f"{seen.cache_bytes / 2**20:.1f} of {self._cache_bytes / 2**20:.0f} MiB, {seen.evictions:,} evicted",
        )
        add("cancelled", f"{sample.cancelled:,} callers, {seen.cancelled:,} proofs dropped for it")
        return table


def _bar(share: float, style: str) -> Text:
    full = round(min(1.0, max(0.0, share)) * BAR_WIDTH)
    return Text.assemble(("━" * full, style), ("─" * (BAR_WIDTH - full), "bright_black"))


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms" if seconds < 0.1 else f"{seconds * 1e3:.0f} ms"
