"""``aprover stress`` and ``aprover calibrate``."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from typer.testing import CliRunner, Result

import aprover
from aprover import Engine, EngineStatistics, Proof, programs
from aprover.cli import app
from aprover.cli import stress as module
from aprover.cli.stress import DEFAULT_MIX, Settings, parse_mix, percentiles, stress
from aprover.engine import calibration

QUICK = ("--seconds", "0.3", "--concurrency", "40", "--mix", "20:8,300:2")


def invoke(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


class TestStress:
    @pytest.mark.parametrize("loop", ["trio", "asyncio"])
    def test_it_loads_an_engine_and_finds_nothing_left(self, loop: str) -> None:
        """With repetitions, so with hits or joins; and with cancelled callers."""
        out = json.loads(invoke("stress", *QUICK, "--loop", loop, "--cancel", "0.3", "--json").stdout)
        seen = out["statistics"]
        assert out["left"] == []
        assert out["answered"] > 40
        assert seen["hits"] + seen["joins"] > 0
        assert seen["proofs"] > 0
        assert out["cancelled"] > 0
        assert out["verified"] == 20
        assert out["latencies"]["p50"] <= out["latencies"]["p99"] <= out["latencies"]["max"]
        assert out["memory"]["peak"] >= out["memory"]["before"] > 0

    def test_the_table_has_what_a_reader_wants(self) -> None:
        """One line each."""
        out = invoke("stress", *QUICK).stdout
        for name in (
            "throughput",
            "latency",
            "hits",
            "joins",
            "batches",
            "loop stalls",
            "cache",
            "memory",
            "left over",
        ):
            assert name in out
        assert out.splitlines()[-1].split() == ["left", "over", "nothing"]

    def test_a_cache_that_is_too_small_evicts_and_stays_within_its_bound(self) -> None:
        """Memory against capacity."""
        report = stress(Settings(concurrency=20, seconds=0.3, mix=((20, 1.0),), repetition=0.1, cache_bytes=100_000))
        assert report.statistics.evictions > 0
        assert report.statistics.cache_bytes <= 100_000
        assert report.left == []

    def test_no_repetition_and_no_cache_make_a_proof_for_each(self) -> None:
        """The worst that a caller can do."""
        report = stress(Settings(concurrency=20, seconds=0.2, mix=((20, 1.0),), repetition=0, cancel=0, cache_bytes=0))
        assert report.statistics.proofs == report.answered == report.statistics.requests

    def test_more_callers_than_may_be_pending_wait(self) -> None:
        """And are answered."""
        report = stress(Settings(concurrency=50, seconds=0.2, mix=((20, 1.0),), max_pending=2))
        assert report.left == []
        assert report.answered >= 50

    def test_what_is_left_is_named_and_the_exit_code_is_1(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Here the counters say so."""
        real = Engine.statistics

        def leaking(engine: Engine) -> EngineStatistics:
            return attrs.evolve(real(engine), waiters=3, running=1)

        monkeypatch.setattr(Engine, "statistics", leaking)
        monkeypatch.setattr(module, "SETTLE_SECONDS", 0.1)
        out = invoke("stress", *QUICK, code=1).stdout
        assert "3 waiters" in out
        assert "1 running flights" in out

    @pytest.mark.parametrize("loop", ["trio", "asyncio"])
    def test_a_task_that_is_left_is_found(self, loop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """One that the loop still has after the engine has gone."""
        counts = iter([1, 2, 2])
        monkeypatch.setattr(module, "_tasks", lambda _: next(counts))
        report = stress(Settings(concurrency=5, seconds=0, mix=((20, 1.0),), loop=loop))
        assert report.left == ["1 tasks"]

    def test_a_wrong_proof_is_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A sample is verified, each against the statement that was meant."""
        real = Engine.prove

        async def another(engine: Engine, program: aprover.Fibonacci) -> Proof:
            return await real(engine, aprover.Fibonacci(program.n + 1, a=program.a))

        monkeypatch.setattr(Engine, "prove", another)
        report = stress(Settings(concurrency=5, seconds=0, mix=((20, 1.0),), cancel=0))
        assert report.verified == 0
        assert "was rejected" in report.left[0]

    def test_failures_are_counted_by_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing but cancellation may come instead of a proof."""

        async def failing(engine: Engine, program: aprover.Fibonacci) -> Proof:
            raise aprover.ProveError("no")

        monkeypatch.setattr(Engine, "prove", failing)
        report = stress(Settings(concurrency=5, seconds=0, mix=((20, 1.0),)))
        assert report.left == ["5 requests failed with ProveError"]

    @pytest.mark.parametrize("mix", ["", "x", "20:-1", "20:inf", "0:1", "5000000", "20:0", "20:nan"])
    def test_a_wrong_mix_is_an_error(self, mix: str) -> None:
        """Which says so, before anything is started."""
        stderr = invoke("stress", "--mix", mix, code=2).stderr
        assert "--mix: " in stderr
        assert "weight" in stderr

    def test_the_default_mix_is_one(self) -> None:
        """Weights in the order of the sizes."""
        assert parse_mix(DEFAULT_MIX)[0] == (20, 60.0)
        assert parse_mix("7") == ((7, 1.0),)

    def test_percentiles_are_of_the_values(self) -> None:
        """By nearest rank; none of none."""
        assert percentiles(range(101), 50, 99) == {"p50": 50, "p99": 99, "max": 100}
        assert percentiles([], 50) == {}


class TestCalibrate:
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("APROVER_CACHE_DIR", str(tmp_path / "kept"))

    def test_it_shows_predicted_against_measured_and_keeps_the_fit(self) -> None:
        """In the file that engines of this machine and version read."""
        out = invoke("calibrate", "--largest", "9", "--seconds", "0.5").stdout
        assert "median error" in out
        assert calibration.load() is not None
        assert str(calibration.calibration_file()) in out

    def test_json_has_every_shape(self) -> None:
        """Of every program, measured, and predicted before, at first use, after, and unseen."""
        shapes = json.loads(invoke("calibrate", "--largest", "9", "-s", "15", "--json", "--dry-run").stdout)["shapes"]
        rows = {shape["rows"] for shape in shapes if (shape["program"], shape["zk"]) == ("Fibonacci", False)}
        assert rows == {2**k for k in range(3, 10)}
        assert {(shape["program"], shape["zk"]) for shape in shapes} == {
            (program, zk) for program in programs.__all__ for zk in (False, True)
        }
        for shape in shapes:
            assert min(shape[name] for name in ("seconds", "before", "first_use", "after", "unseen")) > 0

    def test_a_dry_run_keeps_nothing(self) -> None:
        """Only looks."""
        invoke("calibrate", "--largest", "8", "-s", "0.3", "--dry-run")
        assert calibration.load() is None

    def test_a_folder_that_cannot_be_written_is_no_failure(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is said, and that is all."""
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("APROVER_CACHE_DIR", str(tmp_path / "file" / "folder"))
        assert "cannot be kept" in invoke("calibrate", "--largest", "8", "-s", "0.3").stdout


def test_stress_runs_in_a_loop_of_its_own() -> None:
    """So inside another one it says so, as anyio does, rather than disturb it."""

    async def inside() -> None:
        with pytest.raises(RuntimeError):
            stress(Settings(concurrency=1, seconds=0, mix=((20, 1.0),)))

    anyio.run(functools.partial(inside), backend="trio")
