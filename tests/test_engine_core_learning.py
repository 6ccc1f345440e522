"""What the deciding core learns of the machine: wake-ups, waits for the interpreter, and what threads are worth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aprover.engine.cost import CostModel
from aprover.engine.machine import HALF_LIFE, LONGEST_DELAY, WAKE_SECONDS, Lately, Machine
from aprover.engine.messages import Batch
from tests.support.engine_core import FakeRequest, FakeWaiter, HandClock, make_core, proof, work

SMALL = work(100e-6)


class TestLately:
    def test_it_follows_within_some_observations(self) -> None:
        """Three quarters of the way after five."""
        lately = Lately(30e-6)
        for _ in range(5):
            lately.observe(5e-3, 10.0)
        assert 3.7e-3 < lately.value(10.0) < 5e-3

    def test_half_is_forgotten_in_a_half_life(self) -> None:
        """In favour of what is usual, not of nothing."""
        lately = Lately(1e-3)
        lately.observe(9e-3, 10.0)
        excess = lately.value(10.0) - 1e-3
        assert lately.value(10.0 + HALF_LIFE) == pytest.approx(1e-3 + excess / 2)

    @given(st.lists(st.tuples(st.floats(-1, 100), st.floats(0, 3)), max_size=30))
    def test_it_stays_within_what_a_thread_may_wait(self, seen: list[tuple[float, float]]) -> None:
        """Whatever clocks say; and a clock that stands still changes nothing."""
        lately, now = Lately(30e-6), 5.0
        for seconds, passed in seen:
            now += passed
            lately.observe(seconds, now)
            assert 0 <= lately.value(now) <= LONGEST_DELAY
            assert lately.value(now) == lately.value(now)


class TestWakeUps:
    def test_they_are_timed_from_the_effect_to_the_pull(self) -> None:
        """Of a worker that was named, and not of one that came by itself."""
        clock = HandClock()
        core = make_core(clock)
        core.pull("one")
        clock.now += 1.0
        core.pull("one")
        assert core._machine.wake.value(clock.now) == WAKE_SECONDS
        core.submit(FakeRequest("key"), FakeWaiter("loop"))
        assert core.dispatch("loop", tick=1).effects.wake == ["one"]
        clock.now += 5e-3
        core.pull("one")
        assert core._machine.wake.value(clock.now) > 1e-3

    def test_a_loop_says_how_late_it_heard(self) -> None:
        """With its next dispatch, once."""
        clock = HandClock()
        core = make_core(clock)
        core.dispatch("loop", tick=1, notice=5e-3)
        learned = core._machine.notice.value(clock.now)
        assert learned > 1e-3
        core.dispatch("loop", tick=2)
        assert core._machine.notice.value(clock.now) == learned


def machine() -> Machine:
    return Machine(2, CostModel(measured=True), 0.0)


class TestWaitsForTheInterpreter:
    def test_they_say_nothing_about_cores(self) -> None:
        """A small batch beside another that waited for 5 ms: two threads are worth what they were."""
        learning = machine()
        before = learning.scaling.value(1.0)
        for i in range(20):
            learning.learn_scaling([SMALL], 100e-6 + 5e-3, 5e-3, 1.0, 0.0, 1.0 + i / 100)
        assert learning.scaling.value(1.2) == before
        assert learning.handback.value(1.2) > 4e-3

    def test_a_wait_for_a_core_does(self) -> None:
        """It is as long as the work, at most."""
        learning = machine()
        before = learning.scaling.value(1.0)
        for i in range(20):
            learning.learn_scaling([SMALL], 199e-6, 99e-6, 1.0, 0.0, 1.0 + i)
        assert learning.scaling.value(21.0) < before - 0.3
        assert learning.handback.value(21.0) == 0

    def test_the_cost_model_does_not_take_them_for_work(self) -> None:
        """Or it would believe that small proofs take milliseconds, beside busy Python."""
        clock = HandClock()
        core = make_core(clock)
        before, _ = core.predict(SMALL)
        for i in range(40):
            core.submit(FakeRequest(i, known=SMALL), FakeWaiter("loop"), tick=i)
            core.dispatch("loop", tick=i)
            batch, _ = core.pull("one")
            assert isinstance(batch, Batch)
            core.finish(batch, [proof()], seconds=100e-6 + 5e-3, handback=5e-3)
            clock.now += 10e-3
        after, _ = core.predict(SMALL)
        assert after == pytest.approx(before, rel=0.1)


class TestBriefCalls:
    def test_they_say_nothing_of_long_ones_and_those_nothing_of_them(self) -> None:
        """A call of microseconds has mostly returned before anybody else has woken up."""
        known = machine()
        known.learn_handback(200e-6, 5e-3, 1.0)
        assert known.handback.value(1.0) > 1e-3
        assert known.brief_handback.value(1.0) == 0
        known.learn_handback(20e-6, 5e-3, 1.0)
        assert 0 < known.brief_handback.value(1.0) < 0.5e-3

    def test_one_that_is_looked_at_because_it_waited_is_not_counted(self) -> None:
        """Or the few that wait would look like all."""
        known = machine()
        known.learn_handback(20e-6, 5e-3, 1.0, sampled=False)
        assert known.brief_handback.value(1.0) == 0

    def test_if_all_wait_that_is_known_after_some(self) -> None:
        """Within a thirtieth of a second of such waits."""
        known = machine()
        for i in range(1, 51):
            known.learn_handback(20e-6, 5e-3, i / 50 / 30)
        assert known.brief_handback.value(1 / 30) > 3e-3


class TestSampling:
    def test_what_is_learned_is_learned_after_the_answers(self) -> None:
        """finish() hands them out; the worker's next pull learns."""
        clock = HandClock()
        core = make_core(clock)
        core.submit(FakeRequest("key", known=SMALL), FakeWaiter("loop"))
        core.dispatch("loop", tick=1)
        batch, _ = core.pull("one")
        assert isinstance(batch, Batch)
        before = core._machine.cost.predict(SMALL)
        core.finish(batch, [proof()], seconds=200e-6)
        assert core._machine.cost.predict(SMALL) == before
        core.pull("one")
        assert core._machine.cost.predict(SMALL) > before
