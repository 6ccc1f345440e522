"""The policies: what each decides, and how far the adaptive one is from the best, on a machine with a virtual clock."""

from __future__ import annotations

import itertools

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aprover.engine.loop_state import LAG_GAIN
from aprover.engine.messages import Batch
from aprover.engine.policy import (
    AdaptivePolicy,
    AlwaysInline,
    AlwaysOffload,
    Choice,
    FixedPolicy,
    Load,
    Placement,
    Policy,
)
from tests.support.engine_core import FakeRequest, FakeWaiter, HandClock, make_core, work
from tests.support.engine_sim import run_bursts

INLINE, OFFLOAD = Placement.INLINE, Placement.OFFLOAD
TIMES = st.floats(1e-6, 2e-3)
LOADS = st.builds(
    Load,
    together=st.floats(1, 1000),
    requests=st.floats(1, 10_000),
    workers=st.integers(1, 16),
    idle=st.integers(0, 16),
    busy=st.integers(0, 16),
    queued=st.integers(0, 1000),
    queue_cost=st.floats(0, 10),
    running_cost=st.floats(0, 10),
    scaling=st.floats(0.5, 2),
    handback=st.floats(0, 0.02),
    wake=st.floats(0, 0.05),
    lag=st.floats(0, 0.1),
    python=st.booleans(),
)


def load(**changes: object) -> Load:
    """A quiet engine with two workers, and one request."""
    quiet = Load(
        together=1.0,
        requests=1.0,
        workers=2,
        idle=2,
        busy=0,
        queued=0,
        queue_cost=0.0,
        running_cost=0.0,
        scaling=1.75,
        handback=0.0,
        wake=60e-6,
        lag=0.0,
        python=False,
    )
    return attrs.evolve(quiet, **changes)  # type: ignore[arg-type]


def place(cost: float, **changes: object) -> Placement:
    return AdaptivePolicy().place(cost, load(**changes))[0]


def release(count: int, cost: float, **changes: object) -> Placement:
    return AdaptivePolicy().release(count, count * cost, load(**changes))[0]


class TestAdaptive:
    def test_a_lone_request_is_inline_until_it_is_too_long_for_the_loop(self) -> None:
        """A wake-up and a batch of its own cost a tenth of the work until then, or more."""
        assert [place(cost) for cost in (2e-6, 50e-6, 500e-6, 2e-3)] == [INLINE] * 4
        assert [place(cost) for cost in (2.2e-3, 10e-3, 1.0)] == [OFFLOAD] * 3

    def test_the_longer_it_is_the_cheaper_a_wake_up_has_to_be(self) -> None:
        """A loop that is free is worth a twentieth of the work."""
        policy = AdaptivePolicy(batch=0.0)
        assert policy.place(200e-6, load(wake=20e-6))[0] is INLINE
        assert policy.place(1.5e-3, load(wake=20e-6))[0] is OFFLOAD

    def test_many_go_to_the_workers_but_the_shortest_never_do(self) -> None:
        """To deliver such an answer takes longer than to make it."""
        assert place(100e-6, together=50, requests=50) is OFFLOAD
        assert place(5e-6, together=1000, requests=1000) is INLINE
        assert release(50, 100e-6) is OFFLOAD
        assert release(2, 20e-6) is INLINE

    def test_threads_that_hinder_each_other_are_not_used(self) -> None:
        """Many are inline then, and what is too long for that has one worker."""
        assert release(50, 100e-6, scaling=0.8) is INLINE
        policy = AdaptivePolicy()
        assert policy.width(load(scaling=0.8)) == 1
        assert policy.width(load(scaling=1.2)) == 2
        assert not policy.split(1.0, load(scaling=1.0))

    def test_those_who_wait_for_the_same_proof_pull_it_onto_the_loop(self) -> None:
        """A hit costs less than a delivery."""
        assert place(600e-6, together=2, requests=2) is OFFLOAD
        assert place(600e-6, together=2, requests=100) is INLINE

    def test_what_is_queued_before_it_counts(self) -> None:
        """Waiting behind a second of work is slower than any wake-up, if threads are worth it."""
        assert release(10, 100e-6, scaling=2.0) is OFFLOAD
        busy = {"idle": 0, "busy": 2, "running_cost": 1.0, "queue_cost": 1.0, "queued": 5}
        assert release(10, 100e-6, scaling=2.0, **busy) is INLINE

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"python": True}, "a trace() in Python is running"),
            ({"lag": 0.05}, "the loop is late"),
        ],
    )
    def test_what_keeps_work_off_the_loop(self, changes: dict[str, object], reason: str) -> None:
        """Each with its reason."""
        policy = AdaptivePolicy()
        assert place(50e-6) is INLINE
        assert policy.place(50e-6, load(**changes)) == (OFFLOAD, reason)
        assert policy.release(3, 150e-6, load(**changes)) == (OFFLOAD, reason)

    def test_brief_calls_are_made_one_by_one_unless_they_wait_as_well(self) -> None:
        """Beside busy Python a long call waits for the interpreter, and a brief one has mostly returned before."""
        busy = load(together=10.0, requests=10.0, handback=5e-3, wake=10e-3)
        assert AdaptivePolicy().place(20e-6, busy)[0] is INLINE
        assert AdaptivePolicy().place(200e-6, busy) == (OFFLOAD, "one call for all of the tick")
        waiting = attrs.evolve(busy, brief_handback=2e-3)
        assert AdaptivePolicy().place(20e-6, waiting) == (OFFLOAD, "one call for all of the tick")

    def test_large_proofs_are_split_among_idle_workers(self) -> None:
        """From 5 ms on, if there is an idle worker and threads are worth it."""
        policy = AdaptivePolicy()
        assert policy.split(6e-3, load(idle=1))
        assert not policy.split(4e-3, load(idle=1))
        assert not policy.split(6e-3, load(idle=0))

    def test_no_proof_is_split_for_helpers_that_come_too_late(self) -> None:
        """Beside a thread that is busy with Python a wake-up takes as long as half of it."""
        policy = AdaptivePolicy()
        assert not policy.split(10e-3, load(wake=5e-3))
        assert policy.split(100e-3, load(wake=5e-3))

    @given(LOADS, TIMES, st.integers(1, 1000))
    def test_any_load_gets_a_decision(self, load: Load, cost: float, count: int) -> None:
        """And no load makes work in C inline that is longer than the longest, or while Python is running."""
        policy = AdaptivePolicy()
        for placement, reason in (policy.place(cost, load), policy.release(count, count * cost, load)):
            assert placement in (INLINE, OFFLOAD)
            assert reason
            assert not (placement is INLINE and load.python)
        assert 1 <= policy.width(load) <= load.workers
        assert policy.place(3e-3, load)[0] is OFFLOAD

    @pytest.mark.parametrize("wrong", [{"delivery": -1.0}, {"noise": float("inf")}, {"longest_inline": float("nan")}])
    def test_settings_are_checked(self, wrong: dict[str, float]) -> None:
        """When the policy is made."""
        with pytest.raises(ValueError, match=r"."):
            AdaptivePolicy(**wrong)


@attrs.frozen
class Looking(AlwaysOffload):
    """Offloads, and remembers all that it was shown."""

    seen: list[Load] = attrs.field(factory=list)

    @property
    def longest_inline(self) -> float:
        """So that it is asked."""
        return 1.0

    def place(self, cost: float, load: Load) -> Choice:
        """As it is at this moment."""
        self.seen.append(Load(**{field.name: getattr(load, field.name) for field in attrs.fields(Load)}))
        return super().place(cost, load)


class TestLoad:
    def test_a_policy_sees_the_engine_as_it_is(self) -> None:
        """Every part of a `Load`, whether this policy or another asks for it."""
        policy, clock = Looking(), HandClock()
        core = make_core(clock, policy=policy, workers=3)
        for worker in "abc":
            core.pull(worker)
        for key in range(4):
            core.submit(FakeRequest(key), FakeWaiter("loop"), tick=1, caller=key)
        assert [(seen.together, seen.requests, seen.workers, seen.idle) for seen in policy.seen] == [
            (count, count, 3, 3) for count in (1, 2, 3, 4)
        ]
        core.dispatch("loop", tick=1, lag=0.004)
        batch, _ = core.pull("a")
        assert isinstance(batch, Batch)
        clock.now += batch.predicted / 2
        core.submit(FakeRequest(5), FakeWaiter("loop"), tick=2, caller=5)
        seen, made = policy.seen[-1], len(batch.flights)
        assert (seen.busy, seen.queued, seen.python) == (1, 4 - made, False)
        assert seen.queue_cost == pytest.approx((4 - made) * 100e-6)
        assert seen.running_cost == pytest.approx(batch.predicted / 2)
        assert seen.lag == pytest.approx(LAG_GAIN * 0.004)
        assert seen.wake > 0 and seen.handback == 0 and 0.5 <= seen.scaling <= 2

    def test_it_is_asked_once_about_what_is_alike_in_a_pass(self) -> None:
        """Again about work that takes longer, in the next pass, and when more come together."""
        policy = Looking()
        core = make_core(HandClock(), policy=policy)
        asked: list[int] = []
        for tick, caller, seconds in ((1, "a", 1e-4), (1, "a", 1e-4), (1, "a", 2e-4), (2, "a", 1e-4), (2, "b", 1e-4)):
            request = FakeRequest(len(asked), known=work(seconds))
            core.submit(request, FakeWaiter("loop"), tick=tick, caller=caller)
            asked.append(len(policy.seen))
        assert asked == [1, 1, 2, 3, 4]


class TestBaselines:
    @pytest.mark.parametrize(
        ("cost", "enough"), [(5e-6, None), (10e-6, 20), (19e-6, 20), (20e-6, 10), (50e-6, 5), (1.0, 5)]
    )
    def test_fixed_thresholds(self, cost: float, enough: int | None) -> None:
        """Never below 10 us; from 20 tasks at 10 us, 10 at 20 us, 5 at 50 us."""
        policy = FixedPolicy()
        assert policy.place(cost, load())[0] is (INLINE if enough is None else OFFLOAD)
        least = enough or 10**6
        assert policy.release(least - 1, (least - 1) * cost, load())[0] is INLINE
        assert policy.release(least, least * cost * 1.000001, load())[0] is (INLINE if enough is None else OFFLOAD)

    def test_always_is_always(self) -> None:
        """Whatever the load."""
        for policy, placement in ((AlwaysInline(), INLINE), (AlwaysOffload(), OFFLOAD)):
            assert policy.place(1.0, load(handback=9.0))[0] is placement
            assert policy.release(5, 1e-6, load(handback=9.0))[0] is placement
            assert not policy.split(1.0, load())


COSTS = [2e-6, 10e-6, 20e-6, 50e-6, 200e-6, 500e-6, 1e-3, 10e-3, 100e-3]
COUNTS = [1, 4, 16, 64]
REPETITIONS = [0.0, 0.5, 0.9, 0.99]
SCALINGS = [0.8, 1.0, 1.5, 2.0]
LARGE = [(2e-6, 0.0), (10e-6, 0.0), (100e-6, 0.5), (1e-3, 0.9), (10e-3, 0.99)]


class TestRegret:
    """Bursts of concurrent requests on the virtual machine: the time until the last answer, the best arm's against
    ours.

    All arms have the same cache, the same single flight and the same budget of the tick. The adaptive policy learns
    during the first bursts what threads are worth and how many requests come together, and is measured after that.
    """

    def check(
        self, scaling: float, repetition: float, count: int, seconds: float, *, warm_up: int, measured: int
    ) -> None:
        def took(policy: Policy, warm_up: int = 0, measured: int = 1) -> float:
            return run_bursts(
                policy,
                scaling=scaling,
                seconds=seconds,
                count=count,
                repetition=repetition,
                warm_up=warm_up,
                measured=measured,
            ).seconds

        ours = took(AdaptivePolicy(), warm_up, measured)
        best = min(took(AlwaysInline()), took(AlwaysOffload()))
        fixed = took(FixedPolicy())
        cell = f"{seconds * 1e6:g} us x {count} at {repetition:.0%}: {ours:.6f} s, best {best:.6f}, fixed {fixed:.6f}"
        assert ours <= 1.10 * best, cell
        assert ours <= 1.10 * fixed, cell

    @pytest.mark.parametrize("scaling", SCALINGS)
    @pytest.mark.parametrize("repetition", REPETITIONS)
    def test_within_a_tenth_of_the_best_and_of_the_fixed(self, scaling: float, repetition: float) -> None:
        """2 us to 100 ms a proof, 1 to 64 at once."""
        for count in COUNTS:
            for seconds in COSTS:
                self.check(scaling, repetition, count, seconds, warm_up=8, measured=4)

    @pytest.mark.parametrize("scaling", SCALINGS)
    def test_hundreds_and_a_thousand_at_once(self, scaling: float) -> None:
        """Some cells; the whole grid takes minutes: `make bench-policy`."""
        for seconds, repetition in LARGE:
            self.check(scaling, repetition, 256, seconds, warm_up=5, measured=2)
            self.check(scaling, repetition, 1000, seconds, warm_up=3, measured=1)

    def test_the_loop_is_never_held_for_long(self) -> None:
        """Inline work in one pass: the budget, or one proof that is worth it, of 2 ms at most."""
        for seconds in (20e-6, 300e-6, 700e-6, 1.9e-3, 10e-3):
            for repetition in (0.0, 0.99):
                burst = run_bursts(
                    AdaptivePolicy(), scaling=1.0, seconds=seconds, count=100, repetition=repetition, warm_up=3
                )
                assert burst.stall < 2.1e-3

    def test_a_baseline_is_far_from_the_best_somewhere(self) -> None:
        """Or the cells would show nothing."""

        def took(policy: Policy, seconds: float) -> float:
            return run_bursts(policy, scaling=2.0, seconds=seconds, count=64, repetition=0.0, warm_up=0).seconds

        inline = [took(AlwaysInline(), seconds) for seconds in (5e-6, 1e-3)]
        offload = [took(AlwaysOffload(), seconds) for seconds in (5e-6, 1e-3)]
        assert inline[0] < 0.8 * offload[0]
        assert offload[1] < 0.6 * inline[1]


class TestBesideBusyPython:
    """A thread that never gives the interpreter away makes every wake-up and every return from C wait for it."""

    HELD = 5e-3

    @pytest.mark.parametrize("scaling", [1.0, 1.75])
    @pytest.mark.parametrize("seconds", [10e-6, 50e-6, 200e-6, 1e-3])
    def test_both_ways_are_compared_as_they_are(self, scaling: float, seconds: float) -> None:
        """Work that is short enough for a loop: near the better of both, and never as slow as offloading one is."""
        for count, repetition in itertools.product((1, 4, 16, 64), (0.0, 0.9)):

            def took(policy: Policy, warm_up: int = 0, measured: int = 1) -> float:
                return run_bursts(
                    policy,
                    scaling=scaling,
                    seconds=seconds,
                    count=count,  # noqa: B023 - called here
                    repetition=repetition,  # noqa: B023
                    warm_up=warm_up,
                    measured=measured,
                    held=self.HELD,
                ).seconds

            best = min(took(AlwaysInline()), took(AlwaysOffload()))
            assert took(AdaptivePolicy(), 8, 4) <= 1.3 * best, (count, repetition)

    def test_one_call_serves_all_of_a_tick(self) -> None:
        """Instead of one each, after which the loop would wait each time; if they are not brief."""
        took = [
            run_bursts(
                policy, scaling=1.0, seconds=60e-6, count=8, repetition=0.0, warm_up=8, measured=4, held=self.HELD
            ).seconds
            for policy in (AdaptivePolicy(), AlwaysInline())
        ]
        assert took[0] < 0.6 * took[1]
