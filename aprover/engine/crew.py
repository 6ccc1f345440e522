"""The workers as the deciding core sees them: who sleeps, who was woken, who makes a batch, who helps with another's.

Helpers of a split proof are ordinary workers that have nothing of their own to do. They are asked to leave by a flag
that C reads between two tasks.
"""

from __future__ import annotations

from .flights import Flight
from .machine import Machine
from .messages import Batch, Effects, Help, Worker

__all__ = ["Crew"]


class _Team:
    """The helpers of a split proof."""

    __slots__ = ("batch", "done", "helpers", "team")

    def __init__(self, batch: Batch, team: object) -> None:
        self.batch = batch
        self.team = team
        self.helpers: dict[Worker, bytearray] = {}
        self.done: set[Worker] = set()
        """Who came back without having been asked to: there is nothing more for them to do."""


class Crew:
    """See the module's docstring. Not thread-safe: the core uses it under its own lock.

    Args:
        machine: Is told how long wake-ups take.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.active: set[Batch] = set()
        """What workers make."""
        self.python = 0
        """Batches in which a user's Python runs."""
        self._idle: dict[Worker, None] = {}
        self._woken: dict[Worker, float] = {}
        """Named in an effect, and not here yet; since when."""
        self._helping: dict[Worker, _Team] = {}
        self._since: dict[Worker, float] = {}
        """When each of those entered."""
        self._teams: list[_Team] = []
        self.give_way = bytearray(4)
        """Read by C after each task of a split proof; nonzero from an answer to other work until a loop has it."""

    @property
    def idle(self) -> int:
        """Workers that sleep."""
        return len(self._idle)

    @property
    def coming(self) -> int:
        """Workers that were woken and have not pulled yet."""
        return len(self._woken)

    @property
    def helping(self) -> int:
        """Workers in another's proof."""
        return len(self._helping)

    def arrive(self, worker: Worker, now: float) -> tuple[Batch, float] | None:
        """It pulls: so it neither sleeps nor helps.

        Returns:
            The split batch with which it has helped until now, and for how many seconds; None if it has not.
        """
        self._idle.pop(worker, None)
        since = self._woken.pop(worker, None)
        if since is not None:
            self._machine.wake.observe(now - since, now)
        if not self._helping or (team := self._helping.pop(worker, None)) is None:
            return None
        leave = team.helpers.pop(worker, None)
        if leave is not None and not leave[0]:
            # The proof is made, or all lanes are taken. Sent in again it would be back at once, and so on until the
            # batch is finished, which that keeps from happening: it takes the interpreter.
            team.done.add(worker)
        return team.batch, now - self._since.pop(worker)

    def rest(self, worker: Worker) -> None:
        """There is nothing for it to do."""
        self._idle[worker] = None

    def wake(self, now: float, effects: Effects) -> None:
        """Wakes one of the sleepers: the last that went to sleep has the warmest caches."""
        worker, _ = self._idle.popitem()
        self._woken[worker] = now
        effects.wake.append(worker)

    def wake_all(self, now: float, effects: Effects) -> None:
        """Wakes everybody who sleeps."""
        while self._idle:
            self.wake(now, effects)

    # Split proofs

    def offer(self, batch: Batch, team: object) -> None:
        """Helpers may enter from now on."""
        self._teams.append(_Team(batch, team))

    def help(self, worker: Worker, now: float) -> Help | None:
        """A team that it may enter."""
        for team in self._teams:
            if worker in team.done:
                continue
            leave = bytearray(4)
            team.helpers[worker] = leave
            self._helping[worker] = team
            self._since[worker] = now
            return Help(team.team, leave, team.batch)
        return None

    def recall(self, wanted: int, first: Flight) -> None:
        """Asks as many helpers to leave for this flight and those behind it, unless these are the larger work.

        They answer at the end of a task of theirs.
        """
        leaving = sum(1 for team in self._teams for leave in team.helpers.values() if leave[0])
        for team in self._teams:
            large = team.batch.flights[0]
            if first.predicted < large.predicted or first.priority > large.priority:
                for leave in team.helpers.values():
                    if leaving >= wanted:
                        return
                    if not leave[0]:
                        leave[0] = 1
                        leaving += 1

    def answers(self) -> None:
        """There are some for loops that will want a core.

        Where a split proof has all of them, the system may leave a loop that has just been awake waiting for the
        next tick of its clock, milliseconds later.
        """
        if self._teams:
            self.give_way[0] = 1

    def over(self, batch: Batch) -> None:
        """The batch has ended, and so has its team."""
        self.active.discard(batch)
        if batch.split:
            self._teams = [team for team in self._teams if team.batch is not batch]
            if not self._teams:
                self.give_way[0] = 0
        self.python_over(batch)

    def python_over(self, batch: Batch) -> None:
        """No Python of a user runs for it any more."""
        if batch.python:
            batch.python = False
            self.python -= 1
