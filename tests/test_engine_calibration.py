"""The calibration of the cost model: its file, its measurements, and what an engine does at first use."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import trio
from numpy.typing import NDArray

import aprover
from aprover import programs
from aprover.engine import calibration
from aprover.engine.cost import CostModel
from aprover.engine.families import every_family, fibonacci, fibonacci_u64


@pytest.fixture(autouse=True)
def _a_machine_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No file yet, and nothing measured in this process."""
    monkeypatch.setenv("APROVER_CACHE_DIR", str(tmp_path / "kept"))
    monkeypatch.delenv("APROVER_CALIBRATION", raising=False)
    monkeypatch.setattr(calibration, "_kept", None)
    yield
    assert not calibration._measuring.locked()


class TestCalibrationFile:
    def test_what_is_kept_is_loaded(self, tmp_path: Path) -> None:
        """Predictions and all."""
        model = CostModel()
        work = calibration.work_of_program(aprover.Fibonacci(100))
        model.observe([work], 1.0)
        file = tmp_path / "deep" / "cost.json"
        assert calibration.save(model.dumps(), file) == file
        again = calibration.load(file)
        assert again is not None
        assert again.predict(work) == model.predict(work)
        assert [path.name for path in file.parent.iterdir()] == ["cost.json"]

    @pytest.mark.parametrize("text", ["", "nonsense", "{}", '{"format": 99}', "[" * 2000, "\ud800", "x" * (2**20 + 1)])
    def test_what_is_no_model_is_as_good_as_nothing(self, tmp_path: Path, text: str) -> None:
        """Whatever it is."""
        file = tmp_path / "cost.json"
        file.write_bytes(text.encode(errors="surrogatepass"))
        assert calibration.load(file) is None

    def test_no_file_or_a_folder_in_its_place_is_nothing(self, tmp_path: Path) -> None:
        """Neither raises."""
        assert calibration.load(tmp_path / "none") is None
        assert calibration.load(tmp_path) is None

    def test_a_failed_write_leaves_the_old_file_and_no_rest(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Readers see the old or the new, never a part."""
        file = tmp_path / "cost.json"
        calibration.save("old", file)

        def failing(*_: object) -> None:
            raise OSError

        monkeypatch.setattr("os.replace", failing)
        assert calibration.save("new", file) is None
        assert file.read_text() == "old"
        assert [path.name for path in tmp_path.iterdir()] == ["cost.json"]

    def test_the_name_has_the_version_and_the_machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """So that no other's is ever read."""
        name = calibration.calibration_file().name
        assert aprover.__version__ in name
        monkeypatch.setattr(calibration, "_processor", lambda: "another")
        assert calibration.calibration_file().name != name

    def test_measuring_keeps_to_its_time_and_times_quick_shapes_well(self) -> None:
        """Roughly: a shape that has begun is finished."""
        points = calibration.measure([fibonacci(7), fibonacci(30)], seconds=0.05)
        assert [point.work.rows for point in points] == [8, 32]
        assert all(0 < point.seconds < 0.1 and point.repeats >= 5 for point in points)
        assert calibration.measure([fibonacci(7)], seconds=0) == []

    def test_a_trace_in_python_is_no_part_of_what_is_measured(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is learned apart, as it is the program's own."""
        real = aprover.FibonacciU64.trace

        def slow(self: aprover.FibonacciU64, out: NDArray[np.uint32]) -> None:
            until = time.thread_time() + 0.02
            while time.thread_time() < until:
                pass
            real(self, out)

        monkeypatch.setattr(aprover.FibonacciU64, "trace", slow)
        (point,) = calibration.measure([fibonacci_u64(7)], seconds=0.1)
        assert not point.work.native
        assert 0 < point.seconds < 0.02

    def test_families_are_of_one_shape_each_and_of_every_program(self) -> None:
        """Other numbers give other inputs, and the same work."""
        families = list(every_family(9))
        assert {family.program for family in families} == set(programs.__all__)
        for family in families:
            assert family.make(1) != family.make(2)
            assert calibration.work_of_program(family.make(3), zk=family.zk) is calibration.work_of_family(family)

    def test_a_fit_predicts_what_it_has_seen(self) -> None:
        """Here from invented times: three times what the shipped model says."""
        prior = CostModel()
        points = []
        for n in (7, 100, 1000):
            work = calibration.work_of_family(fibonacci(n))
            points.append(calibration.Point(fibonacci(n), work, 3 * prior.predict(work), 1))
        model = calibration.fitted(points)
        assert [model.predict(point.work) for point in points] == pytest.approx([p.seconds for p in points], rel=0.1)


class TestFirstUse:
    @pytest.fixture
    def quick(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """Measuring takes no time; how often it was asked for."""
        asked: list[int] = []
        point = calibration.Point(fibonacci(7), calibration.work_of_family(fibonacci(7)), 1.0, 1)

        def measure(**_: object) -> list[calibration.Point]:
            asked.append(1)
            return [point] * len(calibration.PROBES)

        monkeypatch.setattr(calibration, "measure", measure)
        return asked

    def models(self, wanted: bool = True) -> list[CostModel]:
        replaced: list[CostModel] = []
        calibration.calibrate(replaced.append, lambda: wanted)
        return replaced

    def test_a_machine_is_measured_once_and_then_remembered(self, quick: list[int]) -> None:
        """In the process and in the file, with a model for each engine: they learn apart."""
        (first,) = self.models()
        (second,) = self.models()
        assert len(quick) == 1
        assert first is not second
        assert first.weights == second.weights != CostModel().weights
        calibration._kept = None  # as in another process
        (third,) = self.models()
        assert len(quick) == 1
        assert third.weights == first.weights

    def test_it_measures_really_and_in_time(self) -> None:
        """Under 200 ms on a quiet machine; the figure here leaves room for others who use it."""
        begun = time.perf_counter()
        (model,) = self.models()
        assert time.perf_counter() - begun < 2.0
        assert model.weights != CostModel().weights
        assert calibration.load() is not None

    def test_an_engine_that_is_closed_meanwhile_is_not_waited_for(self) -> None:
        """And half a measurement is neither used nor kept."""
        assert self.models(wanted=False) == []
        assert calibration.load() is None

    @pytest.mark.parametrize(("count", "models"), [(2, 0), (3, 1)])
    def test_a_slow_machine_fits_what_it_had_time_for(
        self, monkeypatch: pytest.MonkeyPatch, count: int, models: int
    ) -> None:
        """If that is enough; else the next engine tries again."""
        point = calibration.Point(fibonacci(7), calibration.work_of_family(fibonacci(7)), 1.0, 1)
        monkeypatch.setattr(calibration, "measure", lambda **_: [point] * count)
        assert len(self.models()) == models
        assert (calibration.load() is not None) == bool(models)

    @pytest.mark.parametrize("word", ["0", "off", "NO"])
    def test_it_can_be_turned_off(self, word: str, monkeypatch: pytest.MonkeyPatch, quick: list[int]) -> None:
        """By the environment."""
        monkeypatch.setenv("APROVER_CALIBRATION", word)
        assert self.models() == []
        assert quick == []

    def test_a_failure_is_no_failure(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The shipped model goes on, and the worker too."""

        def failing(**_: object) -> list[calibration.Point]:
            raise ZeroDivisionError

        monkeypatch.setattr(calibration, "measure", failing)
        assert self.models() == []

    def test_one_measures_at_a_time_and_nobody_waits(self, quick: list[int]) -> None:
        """A second engine goes on with the model that it has."""
        with calibration._measuring:
            assert self.models() == []
        assert quick == []

    async def test_an_engine_that_is_opened_is_calibrated_on_a_worker(
        self, monkeypatch: pytest.MonkeyPatch, quick: list[int]
    ) -> None:
        """So that it predicts what was measured, here one second for the smallest proof."""
        threads: list[str] = []
        real = calibration.calibrate

        def watched(*args: object) -> None:
            threads.append(threading.current_thread().name)
            real(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(calibration, "calibrate", watched)
        async with aprover.open_engine(workers=1) as engine:
            # Too long for a loop, so it goes through the worker, after what that does first.
            await engine.prove(aprover.Fibonacci(2**16))
            assert engine.estimate(aprover.Fibonacci(7)).duration > 0.1
        assert threads == ["aprover worker 1"]
        assert len(quick) == 1


class TestCorrections:
    def test_what_an_engine_learned_is_kept_when_it_ends(self) -> None:
        """For the next engine of this process, and in the file."""

        async def main(learn: bool) -> None:
            async with aprover.open_engine() as engine:
                while engine._calibrated is None:
                    await trio.sleep(0.001)
                if learn:
                    await engine.prove_batch([aprover.Fibonacci(300, a=i) for i in range(40)], cache=False)

        trio.run(main, False)
        file = calibration.calibration_file()
        before = file.read_text()
        trio.run(main, True)
        after = file.read_text()
        assert after != before
        assert calibration._kept == after
        assert CostModel.loads(after).weights == CostModel.loads(before).weights

    def test_an_engine_that_was_not_calibrated_keeps_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What it learned is about another model."""
        monkeypatch.setenv("APROVER_CALIBRATION", "off")

        async def main() -> None:
            async with aprover.open_engine() as engine:
                await engine.prove_batch([aprover.Fibonacci(300, a=i) for i in range(40)], cache=False)

        trio.run(main)
        assert not calibration.calibration_file().exists()
