"""The life of a flight in the deciding core: joins, cancellation, admission, deadlines, batches, closing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aprover.backends import ProvingCancelled
from aprover.engine.core import Core
from aprover.engine.flights import ENDED, TRANSITIONS, Flight, FlightQueue, LazyMax, State, Step
from aprover.engine.messages import (
    STOP,
    Batch,
    Closed,
    Effects,
    Expired,
    Failed,
    Help,
    Hit,
    Inline,
    Joined,
    Parked,
    Proved,
    Queued,
    Rejected,
)
from aprover.engine.policy import AdaptivePolicy, AlwaysInline
from tests.support.engine_core import FakeRequest, FakeWaiter, HandClock, make_core, proof, work

FOREVER = float("inf")
BIG = work(50e-3)
SMALL = work(100e-6)


class Shell:
    """A core, a clock, one loop, and what has come out so far."""

    def __init__(self, **options: Any) -> None:
        self.clock = HandClock()
        self.core: Core = make_core(self.clock, **options)
        self.answers: dict[FakeWaiter, Any] = {}
        self.woken: list[Any] = []
        self.timer: float | None = None
        self.drained = False

    def perform(self, effects: Effects) -> None:
        for answers in effects.deliver.values():
            for waiter, outcome in answers:
                assert waiter not in self.answers
                self.answers[waiter] = outcome  # type: ignore[index]
        self.woken += effects.wake
        self.timer = effects.timer if effects.timer is not None else self.timer
        self.drained |= effects.drained

    def submit(self, key: Any, cost: Any = SMALL, port: str = "loop", **options: Any) -> tuple[FakeWaiter, Any]:
        waiter = FakeWaiter(port, key)
        decision: Any = self.core.submit(FakeRequest(key, known=cost), waiter, **options)
        if isinstance(decision, Joined | Queued | Parked | Inline):
            self.perform(decision.effects)
        return waiter, decision

    def dispatch(self, tick: int = 1) -> Any:
        answer = self.core.dispatch("loop", tick=tick)
        self.perform(answer.effects)
        return answer

    def pull(self, worker: str = "one") -> Any:
        task, effects = self.core.pull(worker)
        self.perform(effects)
        return task

    def batch(self, worker: str = "one") -> Batch:
        task = self.pull(worker)
        assert isinstance(task, Batch)
        return task

    def started(self, key: Any, cost: Any = SMALL, **options: Any) -> tuple[FakeWaiter, Batch]:
        """A flight that is in a batch of worker one."""
        waiter, _ = self.submit(key, cost, **options)
        self.dispatch()
        return waiter, self.batch()

    def finish(self, batch: Batch, *results: Any) -> None:
        self.perform(self.core.finish(batch, results or [proof()] * len(batch.flights), seconds=1e-3))

    def leave(self, waiter: FakeWaiter) -> None:
        self.perform(self.core.leave(waiter))


class TestSingleFlight:
    def test_a_thousand_identical_requests_make_one_flight_and_one_entry(self) -> None:
        """All but the first join, one result answers all of them, and later ones hit."""
        shell = Shell()
        waiters = [shell.submit("same", port=f"loop {i % 3}")[0] for i in range(1000)]
        shell.core.dispatch("loop 0", tick=1)
        batch = shell.batch()
        assert len(batch.flights) == 1
        shell.finish(batch, b"the one")
        assert {shell.answers[waiter].proof for waiter in waiters} == {b"the one"}
        now = shell.core.statistics()
        assert (now.joins, now.flights, now.proofs, now.cache_entries) == (999, 1, 1, 1)
        assert isinstance(shell.submit("same")[1], Hit)

    def test_answers_are_grouped_by_port(self) -> None:
        """One entry for each loop, whatever the number of its waiters."""
        shell = Shell()
        for port in ("loop", "other", "loop"):
            shell.submit("same", port=port)
        shell.dispatch()
        effects = shell.core.finish(shell.batch(), [proof(b"x")], seconds=1e-3)
        assert {port: len(answers) for port, answers in effects.deliver.items()} == {"loop": 2, "other": 1}

    def test_a_failure_reaches_all_and_is_not_cached(self) -> None:
        """Each waiter is given the shared cause; the next request starts afresh."""
        shell = Shell()
        first, batch = shell.started("key")
        second, _ = shell.submit("key")
        cause = ValueError("no")
        shell.finish(batch, cause)
        assert shell.answers[first].cause is shell.answers[second].cause is cause
        assert isinstance(shell.submit("key")[1], Queued)
        assert shell.core.statistics().cache_entries == 0

    def test_without_cache_a_request_neither_reads_nor_stores_but_joins(self) -> None:
        """cache=False."""
        shell = Shell()
        _, batch = shell.started("key", cache=False)
        assert isinstance(shell.submit("key", cache=False)[1], Joined)
        shell.finish(batch)
        assert shell.core.statistics().cache_entries == 0
        shell.finish(shell.started("key")[1])
        assert shell.core.statistics().cache_entries == 1
        assert isinstance(shell.submit("key", cache=False)[1], Queued)

    @pytest.mark.parametrize("first", [True, False])
    def test_one_waiter_who_wants_it_cached_is_enough(self, first: bool) -> None:
        """Whichever came first."""
        shell = Shell()
        _, batch = shell.started("key", cache=first)
        shell.submit("key", cache=not first)
        shell.finish(batch)
        assert shell.core.statistics().cache_entries == 1


class TestCancellation:
    def test_a_queued_flight_without_waiters_never_starts(self) -> None:
        """It is dropped at once, at its port or in the queue."""
        shell = Shell()
        at_port, _ = shell.submit("a")
        shell.leave(at_port)
        in_queue, _ = shell.submit("b")
        shell.dispatch()
        shell.leave(in_queue)
        assert shell.pull() is None
        now = shell.core.statistics()
        assert (now.cancelled, now.left, now.pending, now.waiters) == (2, 2, 0, 0)

    def test_a_running_flight_goes_on_while_somebody_waits(self) -> None:
        """The first caller does not own it."""
        shell = Shell()
        first, batch = shell.started("key")
        second, _ = shell.submit("key")
        shell.leave(first)
        assert not batch.flights[0].control.cancel_flag[0]
        shell.finish(batch)
        assert first not in shell.answers
        assert isinstance(shell.answers[second], Proved)

    def test_a_running_flight_without_waiters_is_asked_to_stop(self) -> None:
        """And its slot is free when the batch is really over."""
        shell = Shell()
        waiter, batch = shell.started("key")
        shell.leave(waiter)
        assert batch.flights[0].control.cancel_flag[0]
        assert shell.core.statistics().running == 1
        shell.finish(batch, ProvingCancelled())
        now = shell.core.statistics()
        assert (now.running, now.cancelled, now.failed) == (0, 1, 0)

    def test_what_is_ready_before_the_flag_is_seen_is_kept(self) -> None:
        """The proof goes to the cache, and nobody is told."""
        shell = Shell()
        waiter, batch = shell.started("key")
        shell.leave(waiter)
        shell.finish(batch)
        assert not shell.answers
        assert isinstance(shell.submit("key")[1], Hit)

    def test_before_the_c_call_a_new_request_takes_the_flag_back(self) -> None:
        """The flight was pulled, but has not begun."""
        shell = Shell()
        first, batch = shell.started("key")
        shell.leave(first)
        second, decision = shell.submit("key")
        assert isinstance(decision, Joined)
        assert not batch.flights[0].control.cancel_flag[0]
        assert shell.core.begin(batch) == (True,)
        shell.finish(batch)
        assert isinstance(shell.answers[second], Proved)

    def test_a_cancellation_that_was_seen_before_it_was_taken_back_is_no_answer(self) -> None:
        """The flight queues again for those who wait, and a worker is there for it."""
        shell = Shell()
        assert shell.pull("two") is None
        first, batch = shell.started("key")
        shell.leave(first)
        second, _ = shell.submit("key")
        shell.finish(batch, ProvingCancelled())
        assert not shell.answers
        again = shell.batch()
        assert again.flights == batch.flights
        shell.finish(again)
        assert isinstance(shell.answers[second], Proved)

    def test_after_the_c_call_began_a_new_request_opens_a_successor(self) -> None:
        """A flight that is being cancelled cannot be joined, and its end does not touch the successor."""
        shell = Shell()
        first, batch = shell.started("key")
        assert shell.core.begin(batch) == (True,)
        shell.leave(first)
        second, decision = shell.submit("key")
        assert isinstance(decision, Queued)
        assert decision.flight is not batch.flights[0]
        shell.finish(batch, ProvingCancelled())
        third, joined = shell.submit("key")
        assert isinstance(joined, Joined)
        assert joined.flight is decision.flight
        shell.dispatch()
        shell.finish(shell.batch())
        assert {second, third} == set(shell.answers)

    def test_begin_names_those_that_nobody_wants_any_more(self) -> None:
        """So that no C call is made for them."""
        shell = Shell(workers=1)
        waiters = [shell.submit(key)[0] for key in range(8)]
        shell.dispatch()
        batch = shell.batch()
        assert len(batch.flights) > 2
        shell.leave(waiters[1])
        assert shell.core.begin(batch)[:3] == (True, False, True)

    def test_abandoned_work_runs_on_into_the_cache_by_option(self) -> None:
        """finish_abandoned; but not if nobody wanted it cached."""
        shell = Shell(finish_abandoned=True)
        waiter, batch = shell.started("key")
        shell.leave(waiter)
        assert not batch.flights[0].control.cancel_flag[0]
        assert isinstance(shell.submit("key")[1], Joined)
        shell.finish(batch)
        assert isinstance(shell.submit("key")[1], Hit)
        unkept, other = shell.started("other", cache=False)
        shell.leave(unkept)
        assert other.flights[0].control.cancel_flag[0]

    def test_proving_cancelled_that_nobody_asked_for_is_a_failure(self) -> None:
        """Or a trace() that raises it would run for ever."""
        shell = Shell()
        waiter, batch = shell.started("key")
        shell.finish(batch, ProvingCancelled())
        assert isinstance(shell.answers[waiter], Failed)

    def test_leaving_twice_or_too_late_is_ignored(self) -> None:
        """A waiter cancelled between completion and delivery."""
        shell = Shell()
        waiter, batch = shell.started("key")
        shell.finish(batch)
        before = shell.core.statistics()
        shell.leave(waiter)
        shell.leave(FakeWaiter("loop"))
        assert shell.core.statistics() == before

    def test_when_a_loop_ends_what_it_would_have_made_is_made_elsewhere(self) -> None:
        """Flights that waited for the budget of its next tick."""
        shell = Shell(policy=AlwaysInline())
        assert isinstance(shell.submit("first", BIG)[1], Inline)
        assert isinstance(shell.submit("shared")[1], Queued)
        stays, _ = shell.submit("shared", port="other")
        shell.perform(shell.core.drop_port("loop"))
        shell.finish(shell.batch())
        assert set(shell.answers) == {stays}

    def test_when_a_loop_ends_its_waiters_leave_and_the_others_are_served(self) -> None:
        """A flight that it had submitted, and that another loop has joined, is released."""
        shell = Shell()
        shell.submit("shared")
        shell.submit("alone")
        stays, _ = shell.submit("shared", port="other")
        shell.perform(shell.core.drop_port("loop"))
        batch = shell.batch()
        assert [flight.key for flight in batch.flights] == ["shared"]
        shell.finish(batch)
        assert set(shell.answers) == {stays}
        assert shell.core.statistics().left == 2


class TestInline:
    def test_others_join_what_runs_inline(self) -> None:
        """Its own caller has the result in hand; the others are delivered to."""
        shell = Shell(policy=AlwaysInline())
        _, decision = shell.submit("key")
        assert isinstance(decision, Inline)
        other, joined = shell.submit("key", port="other")
        assert isinstance(joined, Joined)
        shell.perform(shell.core.inline_done(decision.flight, proof(b"proof"), wall=1e-4, c_time=1e-4))
        assert set(shell.answers) == {other}
        assert shell.core.statistics().waiters == 0

    @pytest.mark.parametrize("end", [KeyboardInterrupt(), ProvingCancelled()])
    def test_an_interrupt_of_inline_work_is_its_callers_alone(self, end: BaseException) -> None:
        """For the others it queues; without others it is dropped."""
        shell = Shell(policy=AlwaysInline())
        _, decision = shell.submit("key")
        other, _ = shell.submit("key", port="other")
        _, lonely = shell.submit("lonely", port="third")
        shell.perform(shell.core.inline_done(decision.flight, end, wall=1e-4, c_time=1e-4))
        shell.perform(shell.core.inline_done(lonely.flight, end, wall=1e-4, c_time=1e-4))
        assert not shell.answers
        shell.finish(shell.batch())
        assert set(shell.answers) == {other}
        assert shell.pull() is None
        assert shell.core.statistics().cancelled == 1

    def test_an_error_of_inline_work_is_shared(self) -> None:
        """The others get the same cause."""
        shell = Shell(policy=AlwaysInline())
        _, decision = shell.submit("key")
        other, _ = shell.submit("key", port="other")
        cause = ValueError()
        shell.perform(shell.core.inline_done(decision.flight, cause, wall=1e-4, c_time=1e-4))
        assert shell.answers[other].cause is cause

    def test_a_tick_has_a_budget_and_the_next_has_another(self) -> None:
        """500 us at the door; the rest waits for the dispatcher, which has the same budget in each pass."""
        shell = Shell(policy=AlwaysInline())
        decisions = [shell.submit(i, tick=7)[1] for i in range(12)]
        assert [type(decision) for decision in decisions] == [Inline] * 5 + [Queued] * 7
        for decision in decisions[:5]:
            shell.core.inline_done(decision.flight, proof(b"x"), wall=1e-4, c_time=1e-4)
        sizes = []
        for tick in range(8, 20):
            answer = shell.dispatch(tick)
            sizes.append(len(answer.batch.flights))
            assert answer.batch.inline
            shell.finish(answer.batch)
            if not answer.again:
                break
        assert sizes == [5, 2]

    def test_a_port_is_told_once_to_dispatch(self) -> None:
        """Until it has; and not while it was told to come again."""
        shell = Shell(policy=AlwaysInline())
        told = [shell.submit(i, tick=1)[1].effects.dispatch for i in range(15)]
        assert [bool(ports) for ports in told] == [False] * 5 + [True] + [False] * 9
        assert shell.dispatch(2).again
        assert not shell.submit("more", tick=2)[1].effects.dispatch

    def test_a_port_is_told_to_stay_awake_for_what_the_budget_leaves_over(self) -> None:
        """And for nothing that leaves it when the pass ends."""
        shell = Shell(policy=AlwaysInline())
        told = [shell.submit(i, tick=1)[1].effects.resume for i in range(8)]
        assert [bool(ports) for ports in told] == [False] * 5 + [True] + [False] * 2
        assert not Shell().submit("key")[1].effects.resume

    def test_the_first_of_a_tick_may_exceed_the_budget(self) -> None:
        """So that something always gets done; but nothing comes after it."""
        shell = Shell(policy=AlwaysInline())
        assert isinstance(shell.submit("long", BIG, tick=1)[1], Inline)
        assert isinstance(shell.submit("short", SMALL, tick=1)[1], Queued)
        assert isinstance(shell.submit("short too", SMALL, tick=2)[1], Inline)

    def test_hits_share_the_budget(self) -> None:
        """After some 250 of them a caller is told to yield."""
        shell = Shell()
        shell.finish(shell.started("key")[1])
        over = [shell.submit("key", tick=5)[1].over_budget for _ in range(260)]
        assert over == sorted(over)
        assert 240 <= over.count(False) <= 255
        assert not shell.submit("key", tick=6)[1].over_budget

    def test_work_with_a_trace_in_python_is_never_inline(self) -> None:
        """Whatever the policy says."""
        shell = Shell(policy=AlwaysInline())
        assert isinstance(shell.submit("key", work(1e-6, trace="mine"))[1], Queued)
        assert shell.dispatch().batch is None
        assert shell.batch().python

    def test_nothing_is_inline_while_a_trace_runs_in_python(self) -> None:
        """It would wait for the GIL. When the trace is over, inline work goes on."""
        shell = Shell(policy=AlwaysInline())
        _, batch = shell.started("slow", work(1e-3, trace="mine"))
        assert isinstance(shell.submit("a", tick=2)[1], Queued)
        assert shell.dispatch(3).batch is None
        shell.perform(shell.core.traced(batch, 1e-3))
        assert isinstance(shell.submit("b", tick=4)[1], Inline)
        shell.finish(batch)
        shell.finish(shell.batch())
        shell.submit("slow too", work(1e-3, trace="mine"), tick=5)
        shell.dispatch(6)
        shell.batch()
        assert isinstance(shell.submit("c", tick=7)[1], Queued)


class TestBatches:
    def test_a_batch_takes_its_share_of_the_queue(self) -> None:
        """Queued cost over twice the workers: 20 of 100 us give the first of two workers 5."""
        shell = Shell()
        for i in range(20):
            shell.submit(i)
        shell.dispatch()
        assert len(shell.batch("one").flights) == 5
        assert len(shell.batch("two").flights) == 4

    def test_little_is_shared_with_whoever_is_on_the_way_and_else_taken_as_a_whole(self) -> None:
        """A batch costs as much as a proof or two: so there are no more than workers."""
        shell = Shell()
        shell.pull("one")
        shell.pull("two")
        for i in range(4):
            shell.submit(i)
        shell.dispatch()
        assert sorted(shell.woken) == ["one", "two"]
        assert [len(shell.batch(worker).flights) for worker in ("one", "two")] == [2, 2]
        alone = Shell()
        alone.pull("one")
        for i in range(4):
            alone.submit(i)
        alone.dispatch()
        assert len(alone.batch("one").flights) == 4

    def test_a_second_worker_is_woken_for_as_much_as_a_batch_costs(self) -> None:
        """Not for two proofs of 100 us, but for three."""
        for count, woken in ((2, 1), (3, 2)):
            shell = Shell()
            shell.pull("one")
            shell.pull("two")
            for i in range(count):
                shell.submit(i)
            shell.dispatch()
            assert len(shell.woken) == woken

    def test_a_batch_holds_a_millisecond_at_most(self) -> None:
        """However much is queued."""
        shell = Shell()
        for i in range(200):
            shell.submit(i, work(90e-6))
        shell.dispatch()
        assert len(shell.batch().flights) == 11

    def test_long_work_is_a_batch_of_its_own(self) -> None:
        """At least one request, whatever it costs."""
        shell = Shell()
        for i in range(3):
            shell.submit(i, BIG)
        shell.dispatch()
        assert len(shell.batch().flights) == 1

    def test_work_with_a_trace_in_python_is_alone(self) -> None:
        """Neither first nor later in a batch."""
        shell = Shell(workers=1)
        for i, trace in enumerate([None, "mine", None, None]):
            shell.submit(i, work(1e-6, trace=trace))
        for i in range(4, 40):
            shell.submit(i, SMALL)
        shell.dispatch()
        sizes = []
        for _ in range(3):
            batch = shell.batch()
            sizes.append(len(batch.flights))
            shell.finish(batch)
        assert sizes[:2] == [1, 1]
        assert sizes[2] > 1

    def test_nothing_is_pulled_before_the_end_of_the_tick(self) -> None:
        """A submit never dispatches."""
        shell = Shell()
        shell.submit("key")
        assert shell.pull() is None
        shell.dispatch()
        assert shell.woken == ["one"]
        assert shell.batch()

    def test_as_many_workers_are_woken_as_the_queue_is_worth(self) -> None:
        """One for a single request, none for nothing, both for many; and none twice."""
        shell = Shell()
        shell.pull("one")
        shell.pull("two")
        shell.submit(0)
        shell.dispatch()
        assert shell.woken == ["two"]
        for i in range(1, 50):
            shell.submit(i)
        shell.dispatch()
        assert shell.woken == ["two", "one"]
        shell.submit(50)
        shell.dispatch()
        assert shell.woken == ["two", "one"]

    @pytest.mark.parametrize("when", ["at the port", "in the queue"])
    def test_the_most_urgent_goes_first(self, when: str) -> None:
        """Best priority, then latest live deadline first to end, then age; joins and leaves move a flight."""
        shell = Shell()
        shell.submit("plain", BIG)
        shell.submit("soon", BIG, deadline=shell.clock.now + 1)
        shell.submit("sooner", BIG, deadline=shell.clock.now + 0.5)
        shell.submit("lifted", BIG)
        dear, _ = shell.submit("sunk", BIG, priority=9)
        shell.submit("sunk")
        longest, _ = shell.submit("back", BIG)
        shell.submit("back", deadline=shell.clock.now + 0.75)
        if when == "in the queue":
            shell.dispatch()
        shell.submit("lifted", priority=5)
        shell.submit("sooner", deadline=shell.clock.now + 2)
        shell.leave(longest)
        shell.leave(dear)
        shell.dispatch()
        order = []
        for _ in range(6):
            batch = shell.batch()
            order += [flight.key for flight in batch.flights]
            shell.finish(batch)
        assert order == ["lifted", "back", "soon", "sooner", "plain", "sunk"]


class TestSplit:
    def split(self) -> tuple[Shell, Batch]:
        shell = Shell(policy=AdaptivePolicy(), workers=3)
        shell.pull("two")
        shell.pull("three")
        _, batch = shell.started("huge", BIG)
        assert [shell.pull(worker) for worker in shell.woken] == [None]  # it came too late
        return shell, batch

    def test_a_large_proof_is_split_while_others_are_idle(self) -> None:
        """The idle workers are woken when the team is ready, and help."""
        shell, batch = self.split()
        assert batch.split
        shell.woken.clear()
        shell.perform(shell.core.offer_help(batch, "team"))
        assert sorted(shell.woken) == ["three", "two"]
        task = shell.pull("two")
        assert isinstance(task, Help)
        assert task.team == "team"
        assert not task.leave[0]

    def test_each_help_is_told_twice(self) -> None:
        """When a worker enters, and when it comes back: for its batch, or to do something else."""
        shell, batch = self.split()
        shell.core.events = True
        shell.perform(shell.core.offer_help(batch, "team"))
        task, effects = shell.core.pull("two")
        assert [(event.name, event.fields["batch"]) for event in effects.events] == [("help_started", batch.number)]
        shell.clock.now += 0.25
        assert isinstance(task, Help)
        task.leave[0] = 1
        _, effects = shell.core.pull("two")
        told = [(event.name, event.fields["batch"], event.fields.get("seconds")) for event in effects.events]
        assert told == [("help_finished", batch.number, 0.25), ("help_started", batch.number, None)]
        shell.finish(batch)
        shell.perform(shell.core.close("wait"))
        task, effects = shell.core.pull("two")
        assert task is STOP
        assert [event.name for event in effects.events] == ["help_finished"]

    def test_it_is_not_split_when_others_wait_or_none_is_idle(self) -> None:
        """Two proofs on two workers lose nothing."""
        shell = Shell(policy=AdaptivePolicy())
        shell.pull("two")
        shell.submit("a", BIG)
        shell.submit("b", BIG)
        shell.dispatch()
        assert not shell.batch("one").split
        assert not shell.batch("two").split
        alone = Shell(policy=AdaptivePolicy())
        assert not alone.started("huge", BIG)[1].split

    def test_helpers_leave_when_smaller_work_waits(self) -> None:
        """As many as are needed for it, and none for work that is as large."""
        shell, batch = self.split()
        shell.perform(shell.core.offer_help(batch, "team"))
        two, three = shell.pull("two"), shell.pull("three")
        shell.submit("as large", BIG)
        shell.dispatch(2)
        assert (two.leave[0], three.leave[0]) == (0, 0)
        shell.submit("small", work(3e-3), priority=1)
        shell.dispatch(3)
        assert two.leave[0] + three.leave[0] >= 1
        left = "two" if two.leave[0] else "three"
        assert [flight.key for flight in shell.batch(left).flights] == ["small"]

    def test_helpers_are_recalled_each_time(self) -> None:
        """One that left and came back helps anew."""
        shell, batch = self.split()
        shell.perform(shell.core.offer_help(batch, "team"))
        shell.pull("two")
        shell.pull("three")
        for round_ in range(3):
            shell.submit(round_, work(20e-3))
            shell.dispatch(10 + round_)
            left = [name for name, team in shell.core._crew._helping.items() if team.helpers[name][0]]
            assert len(left) == 1
            shell.finish(shell.batch(str(left[0])))
            assert isinstance(shell.pull(str(left[0])), Help)

    def test_a_helper_that_comes_back_unasked_is_not_sent_in_again(self) -> None:
        """The proof is made, and all that is left is to finish its batch. Until then it would come and go."""
        shell, batch = self.split()
        shell.perform(shell.core.offer_help(batch, "team"))
        assert isinstance(shell.pull("two"), Help)
        assert shell.pull("two") is None
        assert isinstance(shell.pull("three"), Help)

    def test_it_gives_way_from_an_answer_until_a_loop_has_it(self) -> None:
        """Not while smaller work is made, for which a worker is there."""
        shell, batch = self.split()
        shell.perform(shell.core.offer_help(batch, "team"))
        shell.pull("three")
        shell.submit("small", work(3e-3))
        shell.dispatch(2)
        small = shell.batch("two")
        assert not shell.core.give_way[0]
        shell.finish(small)
        assert shell.core.give_way[0]
        assert isinstance(shell.pull("two"), Help)
        assert shell.core.give_way[0]
        shell.core.heard()
        assert not shell.core.give_way[0]

    def test_it_gives_way_to_answers_only(self) -> None:
        """Not when nobody waits for what was made, and not to its own: nothing of it runs then."""
        shell, batch = self.split()
        shell.perform(shell.core.offer_help(batch, "team"))
        shell.pull("three")
        waiter, _ = shell.submit("small", work(3e-3))
        shell.dispatch(2)
        small = shell.batch("three")
        shell.leave(waiter)
        shell.finish(small, ProvingCancelled())
        assert not shell.core.give_way[0]
        shell.finish(batch)
        assert not shell.core.give_way[0]

    def test_nobody_gives_way_when_no_team_is_left(self) -> None:
        """An answer that nobody took does not slow the next proof."""
        shell, batch = self.split()
        shell.perform(shell.core.offer_help(batch, "team"))
        shell.pull("three")
        shell.submit("small", work(3e-3))
        shell.dispatch(2)
        shell.finish(shell.batch("three"))
        shell.finish(batch)
        assert not shell.core.give_way[0]

    def test_the_team_ends_with_its_batch(self) -> None:
        """A worker that comes later is idle."""
        shell, batch = self.split()
        shell.perform(shell.core.offer_help(batch, "team"))
        shell.pull("two")
        shell.finish(batch)
        assert shell.pull("two") is None
        assert shell.pull("three") is None
        assert shell.core.statistics().split == 1

    def test_a_team_that_is_offered_too_late_finds_nobody(self) -> None:
        """The batch is over."""
        shell, batch = self.split()
        shell.finish(batch)
        shell.perform(shell.core.offer_help(batch, "team"))
        assert shell.pull("two") is None


class TestAdmission:
    def test_flights_are_counted_and_joiners_are_not(self) -> None:
        """max_pending."""
        shell = Shell(max_pending=2)
        shell.submit("a")
        shell.submit("b")
        assert isinstance(shell.submit("a")[1], Joined)
        assert isinstance(shell.submit("c")[1], Parked)
        assert shell.core.statistics().pending == 2

    def test_who_is_parked_is_admitted_when_a_flight_ends(self) -> None:
        """Best priority first; identical ones wait together; and a worker is told."""
        shell = Shell(max_pending=1)
        shell.submit("a", BIG)
        late, _ = shell.submit("late")
        urgent, _ = shell.submit("urgent", priority=1)
        too, decision = shell.submit("urgent")
        assert isinstance(decision, Joined)
        shell.dispatch()
        batch = shell.batch()
        assert shell.pull("two") is None
        shell.finish(batch)
        batch = shell.batch()
        assert [flight.key for flight in batch.flights] == ["urgent"]
        shell.finish(batch)
        assert isinstance(shell.answers[urgent], Proved)
        assert isinstance(shell.answers[too], Proved)
        shell.finish(shell.batch())
        assert isinstance(shell.answers[late], Proved)

    def test_a_parked_flight_can_be_left(self) -> None:
        """It is never admitted."""
        shell = Shell(max_pending=1)
        _, batch = shell.started("a")
        parked, _ = shell.submit("b")
        shell.leave(parked)
        shell.finish(batch)
        assert shell.pull() is None
        assert shell.core.statistics().parked == 0

    def test_or_callers_are_refused(self) -> None:
        """on_overload="raise"; hits and joins never are."""
        shell = Shell(max_pending=1, on_overload="raise")
        _, batch = shell.started("a")
        assert isinstance(shell.submit("b")[1], Rejected)
        assert isinstance(shell.submit("a")[1], Joined)
        shell.finish(batch)
        assert isinstance(shell.submit("a")[1], Hit)
        now = shell.core.statistics()
        assert (now.rejected, now.requests) == (1, 4)


class TestDeadlines:
    def test_what_is_late_at_the_door_is_refused_but_a_hit_is_a_hit(self) -> None:
        """No flight is opened."""
        shell = Shell()
        assert isinstance(shell.submit("a", deadline=shell.clock.now)[1], Expired)
        assert shell.core.statistics().flights == 0
        shell.finish(shell.started("a")[1])
        assert isinstance(shell.submit("a", deadline=shell.clock.now)[1], Hit)

    def test_a_late_flight_never_starts(self) -> None:
        """All its waiters get DeadlineExceeded when it comes up, without any timer."""
        shell = Shell()
        waiters = [shell.submit("a", deadline=shell.clock.now + delay)[0] for delay in (1, 2)]
        patient, _ = shell.submit("b", deadline=shell.clock.now + 3)
        shell.dispatch()
        shell.clock.now += 2
        batch = shell.batch()
        assert [flight.key for flight in batch.flights] == ["b"]
        assert [shell.answers[waiter] for waiter in waiters] == [Expired(), Expired()]
        assert patient not in shell.answers
        now = shell.core.statistics()
        assert (now.expired, now.cancelled, now.pending, now.waiters) == (2, 1, 1, 1)

    def test_a_flight_lives_as_long_as_its_last_waiter(self) -> None:
        """The latest live deadline counts; a waiter who left does not."""
        shell = Shell()
        shell.submit("a", deadline=shell.clock.now + 1)
        long, _ = shell.submit("a", deadline=shell.clock.now + 9)
        shell.submit("b", deadline=shell.clock.now + 1)
        longer, _ = shell.submit("b")
        shell.leave(longer)
        shell.dispatch()
        shell.clock.now += 5
        batch = shell.batch()
        assert [flight.key for flight in batch.flights] == ["a"]
        assert long not in shell.answers

    def test_expire_answers_each_at_its_time_and_names_the_next(self) -> None:
        """Also of running flights, which stop when nobody is left."""
        shell = Shell()
        now = shell.clock.now
        late, _ = shell.submit("a", deadline=now + 2)
        assert shell.timer == now + 2
        early, _ = shell.submit("a", deadline=now + 1)
        assert shell.timer == now + 1
        shell.dispatch()
        batch = shell.batch()
        shell.clock.now = now + 1
        shell.perform(shell.core.expire())
        assert set(shell.answers) == {early}
        assert shell.timer == now + 2
        assert not batch.flights[0].control.cancel_flag[0]
        shell.clock.now = now + 2
        shell.perform(shell.core.expire())
        assert set(shell.answers) == {early, late}
        assert batch.flights[0].control.cancel_flag[0]
        assert shell.core.next_deadline() == FOREVER
        assert shell.core.statistics().expired == 2

    def test_many_that_expire_at_once_are_answered_in_slices(self) -> None:
        """The lock is held for a fraction of a millisecond; the timer says to come again at once."""
        shell = Shell()
        for _ in range(1200):
            shell.submit("a", deadline=shell.clock.now + 1)
        shell.clock.now += 1
        rounds = 0
        while shell.core.next_deadline() <= shell.clock.now:
            shell.timer = None
            shell.perform(shell.core.expire())
            rounds += 1
            assert shell.timer == (shell.clock.now if len(shell.answers) < 1200 else None)
        assert rounds == 3
        assert len(shell.answers) == 1200


class TestUnknownShapes:
    def test_nobody_runs_one_inline_and_it_is_a_batch_of_its_own(self) -> None:
        """Whatever the policy: what it takes is not known, and a user's air() may have to run."""
        shell = Shell(policy=AlwaysInline())
        assert isinstance(shell.submit("a", None)[1], Queued)
        shell.submit("b", None)
        assert shell.dispatch().batch is None
        batch = shell.batch()
        assert len(batch.flights) == 1
        assert batch.python

    def test_what_the_survey_finds_counts_from_then_on(self) -> None:
        """Its cost, and whether a user's Python still runs."""
        shell = Shell()
        shell.submit("a", None)
        shell.dispatch()
        batch = shell.batch()
        shell.perform(shell.core.surveyed(batch, work(2e-3)))
        assert batch.flights[0].predicted == batch.predicted == pytest.approx(2e-3)
        assert not batch.python

    def test_a_large_one_is_split_once_that_is_known(self) -> None:
        """And counted as such."""
        shell = Shell(policy=AdaptivePolicy())
        shell.submit("a", None)
        shell.dispatch()
        batch = shell.batch()
        shell.pull("two")
        assert not batch.split
        shell.perform(shell.core.surveyed(batch, BIG))
        assert batch.split
        now = shell.core.statistics()
        assert (now.split, now.offloaded) == (1, 0)

    def test_others_of_the_shape_are_looked_up_when_they_come_up(self) -> None:
        """So they share a batch."""
        shell = Shell()
        requests = [FakeRequest(i, known=None) for i in range(4)]
        for request in requests:
            shell.core.submit(request, FakeWaiter("loop"))
        shell.dispatch()
        for request in requests:
            request.known = SMALL
        assert len(shell.batch().flights) > 1
        assert all(flight.work is SMALL for flight in shell.core._running)


class TestVerifications:
    def test_they_are_counted_apart(self) -> None:
        """A verification that ended well is no proof."""
        shell = Shell()
        for key, proves in (("proof", True), ("verification", False)):
            shell.core.submit(FakeRequest(key, proves=proves), FakeWaiter("loop"), cache=False)
        shell.dispatch()
        shell.finish(shell.batch())
        now = shell.core.statistics()
        assert (now.proofs, now.verifications, now.flights) == (1, 1, 2)


class TestBreakDown:
    def test_everybody_is_answered_once_and_it_is_over(self) -> None:
        """Queued, running, parked and joined: Closed, with the cause; workers stop, and what they bring is dropped."""
        shell = Shell(max_pending=3)
        running, batch = shell.started("a")
        joined, _ = shell.submit("a")
        queued, _ = shell.submit("b")
        shell.submit("c")
        parked, _ = shell.submit("d")
        cause = LookupError("a bug")
        shell.perform(shell.core.break_down(cause))
        for waiter in (running, joined, queued, parked):
            assert shell.answers[waiter] == Closed(cause)
        assert shell.drained
        assert batch.flights[0].control.cancel_flag[0]
        before = dict(shell.answers)
        shell.finish(batch)
        shell.perform(shell.core.break_down(ValueError("another")))
        shell.perform(shell.core.close("cancel"))
        assert shell.answers == before
        assert shell.pull() is STOP
        assert shell.submit("e")[1] == Closed(cause)
        assert shell.core.dispatch("loop", tick=9).batch is None

    def test_afterwards_the_tables_are_not_looked_at(self) -> None:
        """They may be in any state: whatever is asked then is answered without them."""
        shell = Shell()
        waiter, batch = shell.started("a")
        shell.core._flights = shell.core._queue = shell.core._ports = None  # type: ignore[assignment]
        shell.perform(shell.core.break_down(LookupError()))
        shell.leave(waiter)
        shell.perform(shell.core.drop_port("loop"))
        shell.perform(shell.core.surveyed(batch, SMALL))
        shell.perform(shell.core.traced(batch, 1.0))
        shell.perform(shell.core.offer_help(batch, "team"))
        assert shell.core.begin(batch) == (True,)
        shell.finish(batch)
        shell.perform(shell.core.expire())
        assert len(shell.answers) == 1

    def test_sleepers_are_woken_to_hear_it(self) -> None:
        """Each once."""
        shell = Shell()
        shell.pull("one")
        shell.pull("two")
        shell.perform(shell.core.break_down(LookupError()))
        assert sorted(shell.woken) == ["one", "two"]


class TestClosing:
    def test_nothing_is_taken_any_more(self) -> None:
        """Not even hits."""
        shell = Shell()
        shell.finish(shell.started("a")[1])
        shell.perform(shell.core.close("wait"))
        assert isinstance(shell.submit("a")[1], Closed)
        assert shell.core.statistics().refused == 1

    def test_waiting_lets_all_finish_and_then_says_so(self) -> None:
        """Parked ones too; workers are told to stop after that, and not before."""
        shell = Shell(max_pending=1)
        first, batch = shell.started("a")
        second, _ = shell.submit("b")
        assert shell.pull("two") is None
        shell.perform(shell.core.close("wait"))
        assert not shell.drained
        shell.finish(batch)
        assert not shell.drained
        shell.finish(shell.batch())
        assert shell.drained
        assert not shell.core.close("wait").drained
        assert set(shell.answers) == {first, second}
        assert shell.woken[-1] == "two"
        assert shell.pull("one") is STOP
        assert shell.pull("two") is STOP

    def test_cancelling_tells_everybody_at_once(self) -> None:
        """What is queued is dropped, what runs is asked to stop, and the end comes when that has stopped."""
        shell = Shell(max_pending=2)
        running, batch = shell.started("a")
        queued, _ = shell.submit("b")
        parked, _ = shell.submit("c")
        shell.perform(shell.core.close("wait"))
        shell.perform(shell.core.close("cancel"))
        assert [shell.answers[waiter] for waiter in (running, queued, parked)] == [Closed()] * 3
        assert batch.flights[0].control.cancel_flag[0]
        assert not shell.drained
        shell.finish(batch, ProvingCancelled())
        assert shell.drained
        assert shell.core.statistics().cancelled == 3

    def test_who_runs_something_inline_keeps_its_result(self) -> None:
        """The others are told that the engine is closed."""
        shell = Shell(policy=AlwaysInline())
        owner, decision = shell.submit("a")
        other, _ = shell.submit("a", port="other")
        shell.perform(shell.core.close("cancel"))
        assert set(shell.answers) == {other}
        shell.perform(shell.core.inline_done(decision.flight, proof(b"x"), wall=1e-4, c_time=1e-4))
        assert owner not in shell.answers
        assert shell.drained


class TestTransitions:
    def test_the_table_is_complete(self) -> None:
        """Ended states have no way out; all others can end; every step is used."""
        for state in State:
            steps = {step for (origin, step) in TRANSITIONS if origin is state}
            assert bool(steps) == (state not in ENDED)
        assert {step for _, step in TRANSITIONS} == set(Step)

    @given(st.lists(st.sampled_from(list(Step)), max_size=12))
    def test_what_the_table_does_not_have_is_a_bug(self, steps: list[Step]) -> None:
        """A flight follows the table or raises, and then stays what it was."""
        flight = Flight(1, FakeRequest("key"), SMALL, 1e-3, 0.0)
        for step in steps:
            before = flight.state
            if (before, step) in TRANSITIONS:
                flight.step(step)
                assert flight.state is TRANSITIONS[before, step]
            else:
                with pytest.raises(RuntimeError, match="cannot"):
                    flight.step(step)
                assert flight.state is before

    def test_a_flight_shows_nothing_of_its_request(self) -> None:
        """Private inputs stay out of logs."""
        assert "secret" not in repr(Flight(1, FakeRequest("secret"), SMALL, 1e-3, 0.0))


class TestQueues:
    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 4))))
    def test_lazy_max_is_the_maximum(self, changes: list[tuple[bool, int]]) -> None:
        """Whatever is put in and taken out."""
        lazy, plain = LazyMax(), []
        for add, value in changes:
            if add:
                lazy.add(value)
                plain.append(value)
            elif value in plain:
                lazy.remove(value)
                plain.remove(value)
            if plain:
                assert lazy.max() == max(plain)

    @given(st.data())
    def test_the_queue_is_in_order_whatever_moves(self, data: st.DataObject) -> None:
        """Flights come and go and change places; first() is always the least, and cost the sum."""
        queue = FlightQueue()
        inside: list[Flight] = []
        for number in range(data.draw(st.integers(1, 30))):
            action = data.draw(st.sampled_from(["push", "move", "remove", "pop"]))
            if action == "push" or not inside:
                flight = Flight(number, FakeRequest(number), SMALL, 2.0**-number, 0.0)
                flight.join(FakeWaiter("loop"), data.draw(st.integers(0, 3)), float(data.draw(st.integers(0, 3))))
                queue.push(flight)
                inside.append(flight)
            elif action == "move":
                flight = data.draw(st.sampled_from(inside))
                flight.join(FakeWaiter("loop"), data.draw(st.integers(0, 3)), float(data.draw(st.integers(0, 3))))
                if data.draw(st.booleans()) and len(flight.seats) > 1:
                    flight.leave(data.draw(st.sampled_from(list(flight.seats.values()))))
                queue.improved(flight)
            elif action == "remove":
                flight = data.draw(st.sampled_from(inside))
                queue.remove(flight)
                inside.remove(flight)
            else:
                popped = queue.pop()
                assert popped is min(inside, key=lambda flight: flight.order)
                inside.remove(popped)
            assert len(queue) == len(inside)
            assert set(queue) == set(inside)
            assert queue.cost == sum(flight.predicted for flight in inside)
            if data.draw(st.booleans()):  # else they stay in line
                assert queue.first() is min(inside, key=lambda flight: flight.order, default=None)

    @given(st.data())
    def test_the_most_urgent_change_the_queue_and_keep_their_places(self, data: st.DataObject) -> None:
        """Both stay in order, whatever improved or went before, and whatever comes after."""
        queues = FlightQueue(), FlightQueue()
        inside: list[list[Flight]] = [[], []]
        for number in range(data.draw(st.integers(1, 30))):
            action = data.draw(st.sampled_from(["push", "push", "look", "improve", "give", "pop"]))
            at = data.draw(st.integers(0, 1))
            if action == "push":
                flight = Flight(number, FakeRequest(number), SMALL, 2.0**-number, 0.0)
                flight.join(FakeWaiter("loop"), data.draw(st.integers(0, 3)), float(data.draw(st.integers(0, 3))))
                queues[at].push(flight)
                inside[at].append(flight)
            elif action == "look":
                assert queues[at].first() is min(inside[at], key=lambda flight: flight.order, default=None)
            elif action == "improve" and inside[at]:
                flight = data.draw(st.sampled_from(inside[at]))
                flight.join(FakeWaiter("loop"), data.draw(st.integers(0, 3)), float(data.draw(st.integers(0, 3))))
                queues[at].improved(flight)
            elif action == "give":
                most = data.draw(st.integers(0, 5))
                given_up = queues[0].give(queues[1], most)
                gone = sorted(inside[0], key=lambda flight: flight.order)[:most]
                assert set(given_up) == set(gone)
                assert len(given_up) == len(gone)
                inside[0] = [flight for flight in inside[0] if flight not in gone]
                inside[1] += gone
            elif inside[at]:
                popped = queues[at].pop()
                assert popped is min(inside[at], key=lambda flight: flight.order)
                inside[at].remove(popped)
            for queue, flights in zip(queues, inside, strict=True):
                assert len(queue) == len(flights)
                assert set(queue) == set(flights)
                assert queue.cost == sum(flight.predicted for flight in flights)
        for queue, flights in zip(queues, inside, strict=True):
            for flight in sorted(flights, key=lambda flight: flight.order):
                assert queue.pop() is flight
            assert queue.pop() is None

    def test_dead_entries_do_not_pile_up(self) -> None:
        """A thousand flights that come and go leave a heap of bounded size."""
        queue = FlightQueue()
        last = Flight(0, FakeRequest(0), SMALL, 1.0, 0.0)
        queue.push(last)
        for number in range(1, 1000):
            flight = Flight(number, FakeRequest(number), SMALL, 1.0, 0.0)
            queue.push(flight)
            queue.remove(flight)
        assert len(queue._heap) + len(queue._line) < 130
        assert queue.pop() is last

    def test_deadlines_of_those_who_left_do_not_pile_up(self) -> None:
        """The same for timers."""
        shell = Shell()
        for i in range(1000):
            waiter, _ = shell.submit(i, deadline=shell.clock.now + 10)
            shell.leave(waiter)
        assert len(shell.core._deadlines._heap) < 130
