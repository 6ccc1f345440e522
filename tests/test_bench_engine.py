"""The benchmarks of the engine run, and judge as they say. What they measure is not judged here."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.engine import BENCHMARKS, line
from benchmarks.engine_regret import Cell, regret_of
from benchmarks.engine_stalls import lateness
from benchmarks.measuring import CAN_BE_APART, Figure, cores_apart, median, quantile

ROOT = Path(__file__).parent.parent


def run(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.engine", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=100, check=False)
    assert done.returncode == code, done.stderr
    return done


class TestFigures:
    def test_a_target_is_the_most_or_the_least(self) -> None:
        """And there may be none, or nothing measured."""
        assert Figure("x", 3, target=3).met is True
        assert Figure("x", 3.1, target=3).met is False
        assert Figure("x", 3, target=3, at_least=True).met is True
        assert Figure("x", 2.9, target=3, at_least=True).met is False
        assert Figure("x", 3).met is None
        assert Figure("x", math.nan, target=3).met is None

    def test_a_missed_target_is_shouted(self) -> None:
        """In one line."""
        assert "MISSED" in line(Figure("x", 4, "us", 3.0, note="why"))
        assert "MISSED" not in line(Figure("x", 2, "us", 3.0))

    def test_quantiles_are_of_the_values(self) -> None:
        """By nearest rank."""
        values = [float(i) for i in range(1, 101)]
        assert [quantile(values, share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]
        assert math.isnan(quantile([], 0.5))
        assert math.isnan(median([]))


class TestCoresApart:
    @pytest.mark.skipif(not CAN_BE_APART, reason="there are no two cores to keep threads on")
    def test_this_thread_has_one_core_and_the_others_another(self) -> None:
        """And afterwards all have what they had."""
        ends = threading.Event()
        other = threading.Thread(target=ends.wait)
        other.start()
        assert other.native_id is not None
        before = os.sched_getaffinity(0), os.sched_getaffinity(other.native_id)
        try:
            with cores_apart():
                here, there = os.sched_getaffinity(0), os.sched_getaffinity(other.native_id)
            assert len(here) == len(there) == 1
            assert here != there
            assert (os.sched_getaffinity(0), os.sched_getaffinity(other.native_id)) == before
        finally:
            ends.set()
            other.join()


class TestLateness:
    LENGTHS = st.lists(st.tuples(st.floats(0, 1), st.floats(1e-3, 1)), min_size=1, max_size=8)

    @given(st.lists(LENGTHS, min_size=1, max_size=3), st.floats(0, 1))
    def test_of_a_random_moment_no_more_than_the_rest_waits_longer(
        self, rounds: list[list[tuple[float, float]]], share: float
    ) -> None:
        """And exactly the rest, unless the loop sleeps for so long that the share of the moments does not wait."""
        passes = []
        for sleeps_and_lengths in rounds:
            clock, one = 0.0, []
            for sleeps, length in sleeps_and_lengths:
                one.append((clock + sleeps, clock + sleeps + length))
                clock += sleeps + length
            passes.append(one)
        late = lateness(passes, share)
        lengths = [end - begun for one in passes for begun, end in one]
        waiting = sum(max(0.0, length - late) for length in lengths)
        rest = (1 - share) * sum(one[-1][1] - one[0][0] for one in passes)
        assert waiting <= rest + 1e-9
        assert late == 0 or waiting == pytest.approx(rest, abs=1e-9)

    def test_the_longest_pass_is_the_latest(self) -> None:
        """Of passes of 3 and 1 and a sleep of 2, half of all moments wait no longer than 0.5."""
        passes = [[(0.0, 3.0), (5.0, 6.0)]]
        assert lateness(passes, 1.0) == pytest.approx(3)
        assert lateness(passes, 0.5) == pytest.approx(0.5)
        assert lateness(passes, 0.25) == 0


class TestRegret:
    CELL = Cell(rows=8, concurrency=10, repetition=0.0, busy=False)

    def times(self, **seconds: float) -> dict[str, list[float]]:
        return {name: [seconds[name]] * 16 for name in ("adaptive", "inline", "offload", "fixed")}

    def test_the_policy_is_compared_with_the_better_arm(self) -> None:
        """Less two microseconds a request."""
        regret = regret_of(self.CELL, self.times(adaptive=130e-6, inline=200e-6, offload=100e-6, fixed=65e-6))
        assert regret.best == "offload"
        assert regret.ratio == pytest.approx(1.1)
        assert regret.low == regret.high == regret.ratio
        assert regret.fixed == pytest.approx(2.0)

    def test_the_better_arm_is_picked_on_other_rounds_than_those_compared(self) -> None:
        """Else the luck of the pick would count against the policy."""
        times = self.times(adaptive=1.0, inline=1.0, offload=2.0, fixed=1.0)
        times["inline"] = [3.0, 1.0] * 8
        assert regret_of(self.CELL, times).best == "offload"

    def test_noise_widens_the_interval(self) -> None:
        """Which holds the median."""
        times = self.times(adaptive=1.0, inline=1.0, offload=2.0, fixed=1.0)
        times["adaptive"] = [0.5, 0.5, 2.0, 2.0] * 4
        regret = regret_of(self.CELL, times)
        assert regret.low < regret.ratio < regret.high


class TestCommand:
    def test_a_benchmark_prints_figures_with_targets(self) -> None:
        """As JSON lines, if asked."""
        figures = [json.loads(text) for text in run("--quick", "--json", "events", "hits").stdout.splitlines()]
        assert [figure["benchmark"] for figure in figures] == ["events", "hits", "hits"]
        assert all(figure["value"] > 0 and figure["target"] > 0 for figure in figures)

    def test_the_smaller_ones_run(self) -> None:
        """The others take too long for a test."""
        out = run("--quick", "inline", "offload", "batches", "identical").stdout
        assert "proofs for 1,000 identical requests" in out
        assert "inline over the bare C call" in out

    def test_an_unknown_name_is_an_error_that_names_all(self) -> None:
        """Exit code 2, as of any wrong argument."""
        assert "nonsense" in run("nonsense", code=2).stderr
        listed = run("--help").stdout
        assert all(name in listed for name in BENCHMARKS)
