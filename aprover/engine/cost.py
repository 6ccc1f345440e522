"""The cost model: how many seconds a proof will take, from its shape alone; nothing is estimated by running the work.

The time on one core is modelled as a sum of counted operations (`FEATURES`), each with a time of its own (a weight), so
it can be predicted for shapes that were never seen. Three things make it true on a machine:

- `CostModel.fit`: the weights from a few timed proofs, as a robust least-squares fit of the logarithms of the times (so
  a proof of 50 us counts as much as one of 5 s), over the logarithms of the weights (so none becomes negative). It
  leans towards the weights it starts from, since a few points do not determine them all;
- `CostModel.observe`: a factor for each class of shapes, corrected by every finished batch, by steps of bounded size;
- `CostModel.observe_trace`: the time of a program's own trace(), in Python, learned apart, for each row.

`Scaling` learns what two threads are worth together, which on shared machines changes from minute to minute.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from ..security import Parameters, Shape, layout_of
from ..security.costs import SALT_BYTES, transforms, trees
from ..security.shape import EXTENSION_DEGREE

__all__ = [
    "FEATURES",
    "PRIOR_WEIGHTS",
    "UNKNOWN_WORK",
    "CostModel",
    "Scaling",
    "Work",
    "commitment_work",
    "work_of",
]

FEATURES = (
    "call",
    "calls of Python",
    "filled columns",
    "cells",
    "butterflies",
    "elements",
    "instructions",
    "instructions at a point",
    "interactions",
    "fractions",
    "openings",
    "lane compressions",
    "lone compressions",
    "random words",
    "gathers",
    "nonces",
    "spilled bytes",
)
"""What is counted; `work_of` says how."""

PRIOR_WEIGHTS = (
    5.6e-06,
    1.4e-05,
    1.5e-06,
    7.8e-11,
    1.9e-10,
    1.3e-10,
    2.8e-10,
    1.2e-08,
    6.4e-06,
    2.7e-08,
    9.3e-12,
    6.0e-09,
    4.8e-07,
    4.9e-09,
    1.6e-09,
    7.6e-09,
    7.0e-11,
)
"""Seconds for one of each of `FEATURES`: what decides before there is a fit.

Fitted to the programs that are shipped, in traces of 2^3 to 2^20 rows, on the project's machine class.
``make bench-engine BENCH="cost"`` says how well, and ``python -m benchmarks.engine_cost`` fits anew. The counts grow
together, so that a weight alone means little; the sum does.
"""

CACHED_BYTES = 2**20
"""Memory beyond this no longer stays in a core's own cache."""
PRIOR_TRACE_SECONDS = 2e-6
"""One row of a trace() in Python that was never seen: a handful of bytecodes."""

LONGEST_STEP = 0.7
"""The largest error, in the logarithm, that one observation is believed to show: a factor of two."""
SMALLEST_GAIN = 0.1
"""A class of shapes never stops following, as machines change."""
TRUSTED = 3.0
"""After so many observations of a class, slow is doubted more than quick."""
DOUBT = 0.25
"""By what factor."""
FURTHEST = math.log(16)
"""Corrections end here: beyond, the measurement is about something else."""
FURTHEST_TRACE = math.log(1e7)
"""A row of a user's trace() may take anything from a fraction of a NumPy call to a second."""
CLASSES_KEPT = 4096

_FORMAT = 1
_Array = NDArray[np.float64]


@attrs.frozen(eq=False)
class Work:
    """What the cost model needs to know of one proof. Made by `work_of`, which keeps it for each AIR and parameters.

    Compared by identity: it is looked up for every request.

    Attributes:
        features: How many of each of `FEATURES`.
        rows: The height of the trace.
        trace: None if the trace is made in C; else the program's id, under which the time of its trace() is learned.
        batchable: Whether it may share a C call with others, or run on a loop's own thread.
        splittable: Whether several threads can work on it.
        native: Whether it is one C call, trace included, that may share a call or run on a loop's own thread.
    """

    features: tuple[float, ...]
    rows: int
    trace: str | None = None
    batchable: bool = True
    splittable: bool = True
    native: bool = attrs.field(init=False)

    @native.default
    def _is_native(self) -> bool:
        return self.trace is None and self.batchable


UNKNOWN_WORK = Work((0.0,) * len(FEATURES), 1, "", batchable=False, splittable=False)
"""Of a shape that nobody has looked at yet. Looking may run a user's air(), so it is done on a worker."""
UNKNOWN_SECONDS = 5e-3
"""What such work is taken to last, until it is known."""


@functools.lru_cache(maxsize=512)
def work_of(
    shape: Shape,
    parameters: Parameters,
    *,
    instructions: tuple[int, ...],
    filled: int = 0,
    memory: int = 0,
    trace: str | None = None,
) -> Work:
    """The features of a STARK proof (docs/protocol.md, section 7), counted as the prover does it.

    Args:
        instructions: Of the constraints' bytecode, for each table: `CompiledTable.cost`.
        filled: What is filled in by Python, in columns: `Filling.steps`.
        memory: Bytes that one thread needs for the proof.
        trace: The program's id if its trace() is Python, None if the trace is made in C.

    Raises:
        ProofFormatError: with code `PARAMETERS`: the parameters do not fit the shape.
    """
    layout = layout_of(shape, parameters)
    moved = transforms(shape, layout, parameters.log_blowup)
    cells = constrained = interactions = fractions = opened = 0
    words = EXTENSION_DEGREE * layout.tables[0].length if layout.zk else 0
    for table, place, count in zip(shape.tables, layout.tables, instructions, strict=True):
        cells += table.height * table.columns
        constrained += place.length * place.chunks * count
        interactions += table.interactions
        fractions += table.interactions * (table.height + place.length * place.chunks)
        opened += 2 * EXTENSION_DEGREE * place.length * (table.openings + place.chunks)
        words += place.masks * (table.columns + EXTENSION_DEGREE * (table.lookup_columns + place.chunks))
    lanes, gathers, absorbed = 0.0, 0.0, 20.0 * (layout.sums + layout.openings + layout.final_length)
    for tree in trees(layout, parameters.log_blowup):
        words += SALT_BYTES // 4 << tree.log_leaves if layout.zk else 0
        cap = min(parameters.cap_log, tree.log_leaves)
        if tree.per_proof:
            blocks = -(-tree.leaf_bytes // 64) + -(-tree.leaf_bytes // 1024) - 1
            lanes += blocks * max(8, 1 << tree.log_leaves)
            lanes += sum(max(8, 1 << level) for level in range(cap, tree.log_leaves))
        gathers += parameters.queries * (tree.leaf_bytes / 4 + 2 * (tree.log_leaves - cap))
        absorbed += 32 << cap
    drawn = 4 * parameters.queries + 20 * (layout.batched if parameters.independent else 1)
    features = (
        1.0,
        float(trace is not None),
        float(filled),
        float(cells),
        moved.butterflies,
        moved.elements,
        float(constrained),
        float(sum(instructions)),
        float(interactions),
        float(fractions),
        float(opened),
        lanes,
        (absorbed + drawn) / 64 + 6 + layout.folds,
        float(words),
        gathers,
        float(1 << parameters.grinding_bits) if parameters.grinding_bits else 0.0,
        float(max(0, memory - CACHED_BYTES)),
    )
    return Work(features, 1 << shape.log_height, trace, True, True)


def commitment_work(rows: int, columns: int, *, trace: str) -> Work:
    """The features of a trace commitment: a trace, made by Python or at Python's request, and one hash of it."""
    counts = dict.fromkeys(FEATURES, 0.0)
    cells = rows * columns
    counts.update({"call": 1.0, "cells": float(cells), "lane compressions": cells / 16})
    return Work(tuple(counts.values()), rows, trace, batchable=False, splittable=False)


@attrs.define
class _Correction:
    log: float
    seen: float = 0.0
    furthest: float = FURTHEST
    factor: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.factor = math.exp(self.log)

    def follow(self, error: float, share: float) -> None:
        gain = share * max(SMALLEST_GAIN, 1 / (self.seen + 1.5))
        if error > 0 and self.seen >= TRUSTED:
            gain *= DOUBT  # everything that disturbs a measurement makes it longer, never shorter
        step = gain * min(LONGEST_STEP, max(-LONGEST_STEP, error))
        self.log = min(self.furthest, max(-self.furthest, self.log + step))
        self.factor = math.exp(self.log)
        self.seen += share


_Class = tuple[int, "str | None", int]


class CostModel:
    """Predicts and learns. Not thread-safe: the core calls it under its own lock.

    Args:
        weights: Seconds for one of each of `FEATURES`, all positive.
        measured: They were measured on this machine, so what is slower than they say was probably disturbed.

    Raises:
        ValueError: The weights are not that.
    """

    def __init__(self, weights: Sequence[float] = PRIOR_WEIGHTS, *, measured: bool = False) -> None:
        self._weights = _checked(weights)
        self._measured = measured
        self._base: dict[Work, tuple[float, _Class]] = {}
        self._corrections: dict[_Class, _Correction] = {}
        self._traces: dict[str, _Correction] = {}
        self._speed = _Correction(0.0)

    @property
    def weights(self) -> tuple[float, ...]:
        """Seconds for one of each of `FEATURES`."""
        return self._weights

    # Predicting

    def predict(self, work: Work) -> float:
        """Seconds on one core, a trace() in Python included."""
        if work.trace is None:
            return self.predict_proof(work)
        if work is UNKNOWN_WORK:
            return UNKNOWN_SECONDS
        return self.predict_proof(work) + self.predict_trace(work)

    def predict_proof(self, work: Work) -> float:
        """Seconds on one core, of which Python's trace() is no part."""
        known = self._base.get(work)
        base, kind = self._base_of(work) if known is None else known
        return base * self._corrections.get(kind, self._speed).factor

    def predict_trace(self, work: Work) -> float:
        """Seconds of the program's own trace(); 0 if the trace is made in C."""
        if work.trace is None:
            return 0.0
        learned = self._traces.get(work.trace)
        return work.rows * PRIOR_TRACE_SECONDS * (learned.factor if learned else 1.0)

    def _base_of(self, work: Work) -> tuple[float, _Class]:
        known = self._base.get(work)
        if known is None:
            base = sum(map(float.__mul__, self._weights, work.features))
            if len(self._base) >= CLASSES_KEPT:
                self._base.clear()
            known = self._base[work] = base, (work.rows, work.trace, round(2 * math.log2(base)))
        return known

    # Learning

    def observe(self, works: Sequence[Work], seconds: float, *, slowdown: float = 1.0) -> None:
        """Learns from a C call that made all of `works` in this time on one core.

        Args:
            seconds: Traces in Python not included. What is no time that a proof can take is ignored.
            slowdown: More than 1 if other batches ran beside it: by what factor they are believed to have made it
                longer. Where much is known already, such a time teaches only that the work is shorter than was
                thought, if it is short as it stands.
        """
        if not works or not _is_time(seconds):
            return
        shares: dict[_Class, float] = {}
        uncorrected = predicted = 0.0
        for work in works:
            part = self.predict_proof(work)
            base, kind = self._base_of(work)
            uncorrected += base
            predicted += part
            shares[kind] = shares.get(kind, 0.0) + part
        error = math.log(seconds / predicted)
        for kind, share in shares.items():
            correction = self._corrections.get(kind)
            if correction is None:
                if len(self._corrections) >= CLASSES_KEPT:
                    self._corrections.pop(next(iter(self._corrections)))
                seen = TRUSTED if self._measured else self._speed.seen / 4
                correction = self._corrections[kind] = _Correction(self._speed.log, seen)
            if slowdown <= 1:
                correction.follow(error, share / predicted)
            elif correction.seen < TRUSTED:
                correction.follow(error - math.log(slowdown), 0.5 * share / predicted)
            elif error < 0:
                correction.follow(error, share / predicted)
        if slowdown <= 1:
            self._speed.follow(math.log(seconds / uncorrected) - self._speed.log, 0.5)

    def observe_trace(self, work: Work, seconds: float) -> None:
        """Learns from one run of a program's own trace()."""
        if work.trace is None or not _is_time(seconds):
            return
        learned = self._traces.get(work.trace)
        if learned is None:
            if len(self._traces) >= CLASSES_KEPT:
                self._traces.pop(next(iter(self._traces)))
            # The first run tells more than the prior does.
            log = math.log(seconds / (work.rows * PRIOR_TRACE_SECONDS))
            log = min(FURTHEST_TRACE, max(-FURTHEST_TRACE, log))
            self._traces[work.trace] = _Correction(log, 1.0, FURTHEST_TRACE)
        else:
            learned.follow(math.log(seconds / self.predict_trace(work)), 1.0)

    def fit(self, points: Iterable[tuple[Work, float]]) -> float:
        """Fits the weights to timed proofs and forgets the corrections.

        Args:
            points: Works and the seconds that they took on one core, traces in Python not included. Any number; those
                whose seconds are no time that a proof can take are left out.

        Returns:
            The median of the absolute relative errors over the points, after the fit; 0 if there are none.
        """
        points = [(work, seconds) for work, seconds in points if _is_time(seconds)]
        if not points:
            return 0.0
        counts = np.array([work.features for work, _ in points])
        target = np.log([seconds for _, seconds in points])
        self._weights = _checked(_fit(counts, target, np.log(self._weights)).tolist())
        self._measured = True
        self._base.clear()
        self._corrections.clear()
        self._speed = _Correction(0.0)
        return float(np.median(np.abs(np.exp(np.log(counts @ self._weights) - target) - 1)))

    # To text and back

    def dumps(self) -> str:
        """All that was learned, as JSON."""
        return json.dumps(
            {
                "format": _FORMAT,
                "features": FEATURES,
                "weights": self._weights,
                "measured": self._measured,
                "speed": [self._speed.log, self._speed.seen],
                "corrections": [[*kind, c.log, c.seen] for kind, c in self._corrections.items()],
                "traces": [[name, c.log, c.seen] for name, c in self._traces.items()],
            }
        )

    @classmethod
    def loads(cls, text: str) -> CostModel:
        """What `dumps` wrote.

        Raises:
            ValueError: The text is not that, or was written by a version that counts other features.
        """
        try:
            data = json.loads(text)
            if data["format"] != _FORMAT or tuple(data["features"]) != FEATURES:
                raise ValueError("another version's cost model")
            model = cls(data["weights"], measured=bool(data["measured"]))
            model._speed = _loaded(*data["speed"])
            for rows, trace, size, log, seen in data["corrections"][:CLASSES_KEPT]:
                if not (type(rows) is int and type(size) is int and isinstance(trace, str | None)):
                    raise ValueError("not a class of shapes")
                model._corrections[rows, trace, size] = _loaded(log, seen)
            for name, log, seen in data["traces"][:CLASSES_KEPT]:
                model._traces[str(name)] = _loaded(log, seen, FURTHEST_TRACE)
        except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ValueError(f"not a cost model: {error!r}") from error
        return model


def _is_time(seconds: float) -> bool:
    """A nanosecond to a hundred days."""
    return 1e-9 < seconds < 1e7


def _checked(weights: Sequence[float]) -> tuple[float, ...]:
    checked = tuple(map(float, weights))
    if len(checked) != len(FEATURES) or not all(0 < weight < math.inf for weight in checked):
        raise ValueError(f"weights must be {len(FEATURES)} positive numbers")
    return checked


def _loaded(log: float, seen: float, furthest: float = FURTHEST) -> _Correction:
    if not (abs(float(log)) <= furthest and 0 <= float(seen) < math.inf):
        raise ValueError("not a correction")
    return _Correction(float(log), float(seen), furthest)


LEANING = 2.0
"""So many tolerances of a point count as much as a weight that is away from its prior by one in the logarithm. Between
machines of one kind weights differ by a third, say, and what the model does not count makes it err by some percent.
"""
TOLERANCE = 0.1
"""Errors of the logarithm beyond this count linearly, not squared (Huber): a disturbed timing must not bend the fit."""


def _fit(counts: _Array, target: _Array, prior: _Array) -> _Array:
    """Weights: Gauss-Newton with damping (Levenberg-Marquardt) on the logarithms of the weights.

    Minimises sum huber(log(counts @ exp(x)) - target) / TOLERANCE^2 + LEANING^2 |x - prior - shift|^2; the common shift
    is free, because that a machine is faster as a whole says nothing about its proportions.
    """
    shift = float(np.median(target - np.log(counts @ np.exp(prior))))
    x = start = prior + shift
    damping = 1e-2

    def error(at: _Array) -> tuple[_Array, float]:
        residual = np.log(counts @ np.exp(at)) - target
        size = np.abs(residual) / TOLERANCE
        loss = np.where(size < 1, size**2, 2 * size - 1).sum() + LEANING**2 * ((at - start) ** 2).sum()
        return residual, float(loss)

    residual, loss = error(x)
    for _ in range(100):
        parts = counts * np.exp(x)
        jacobian = parts / parts.sum(axis=1, keepdims=True)
        trust = 1 / TOLERANCE**2 / np.maximum(1, np.abs(residual) / TOLERANCE)
        normal = (jacobian.T * trust) @ jacobian + LEANING**2 * np.eye(len(x))
        slope = (jacobian.T * trust) @ residual + LEANING**2 * (x - start)
        step = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), -slope)
        trial = x + np.clip(step, -1, 1)
        trial_residual, trial_loss = error(trial)
        if trial_loss < loss:
            settled = loss - trial_loss < 1e-9 * loss
            x, residual, loss, damping = trial, trial_residual, trial_loss, damping / 3
            if settled:
                break
        else:
            damping *= 4
            if damping > 1e9:
                break
    return np.exp(x)


class Scaling:
    """Learns how many times as much several threads get done together as one alone. Not thread-safe.

    Looks at how much longer than predicted those batches take that run beside others. Predictions follow batches that
    ran alone, so the two do not chase each other.

    Args:
        cores: How many threads can run at once.
        prior: Believed until something was seen, and again when the last sight of it is long ago. Somewhat too good:
            who expects too little of threads never tries them, and never learns.
    """

    GAIN = 0.25
    DOUBTFUL_GAIN = 0.16
    """For what looks worse than was believed: an event loop, or another process, may be busy beside them unseen."""
    HALF_LIFE = 5.0
    """Seconds for which what was learned is believed; after so many more, half of it is forgotten."""

    def __init__(self, cores: int = 2, prior: float = 1.75) -> None:
        self._cores = max(2, cores)
        self._prior = prior
        self._beside = math.log(2 / prior)
        self._together: float = prior
        self._seen = -math.inf

    def observe(self, ratio: float, beside: float, loops: float, now: float) -> None:
        """Learns from one batch.

        Args:
            ratio: Measured over predicted time.
            beside: How many other batches ran beside it, on average over its time. Mixed cases say little and are
                left out.
            loops: How many event loops were busy beside them.
            now: The time, in seconds.
        """
        if beside <= 0.75 or not 0 < ratio < math.inf:
            return
        # n threads on so many cores get 1 + (cores - 1) e done, e being the efficiency; each is slowed by n over that.
        threads = 1 + beside + loops
        efficiency = (threads / ratio - 1) / (min(threads, self._cores) - 1)
        two = math.log(2 / min(2.0, max(0.5, 1 + efficiency)))
        gain = self.GAIN if two < self._beside else self.DOUBTFUL_GAIN
        if now - self._seen >= self.HALF_LIFE:
            gain = 0.5
        self._beside += gain * (two - self._beside)
        self._together = 2 / math.exp(self._beside)
        self._seen = now

    def value(self, now: float) -> float:
        """What two threads get done together, relative to one: 0.5 to 2."""
        age = now - self._seen
        if age <= self.HALF_LIFE:
            return self._together
        trust: float = 0.5 ** (age / self.HALF_LIFE - 1)
        return self._prior + trust * (self._together - self._prior)

    def slowdown(self, others: float, now: float) -> float:
        """By what factor a batch is slower for so many others beside it, batches or busy loops."""
        threads = 1 + others
        return max(1.0, threads / (1 + (min(threads, self._cores) - 1) * (self.value(now) - 1)))
