"""Events by themselves: who hears them, what is in them, and what they cost."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import pytest
import structlog
from structlog.contextvars import bind_contextvars, clear_contextvars, merge_contextvars

from aprover.telemetry import Events, Job, capture_timeline

Entry = dict[str, Any]


class Log(list[Entry]):
    """A structlog processor that keeps what it gets."""

    def __call__(self, _logger: Any, method: str, entry: Any) -> Any:
        self.append({**entry, "level": method})
        raise structlog.DropEvent


@attrs.frozen
class Said:
    """As the core's `Event`."""

    name: str
    fields: dict[str, object]


@pytest.fixture(autouse=True)
def _unconfigured() -> Iterator[None]:
    structlog.reset_defaults()
    clear_contextvars()
    yield
    structlog.reset_defaults()
    clear_contextvars()


@pytest.fixture
def log() -> Log:
    """structlog, configured."""
    log = Log()
    structlog.configure(processors=[merge_contextvars, log])
    return log


def opened(events: Events, program: str = "fibonacci") -> Job:
    job = events.open(program)
    assert job is not None
    return job


class TestSilence:
    def test_nothing_is_said_while_nobody_has_asked(self, capsys: pytest.CaptureFixture[str]) -> None:
        """structlog that nobody configured would print."""
        events = Events()
        assert not events.on()
        assert events.open("fibonacci") is None
        events.emit("batch_started", batch=1)
        assert capsys.readouterr() == ("", "")

    def test_false_is_silent_though_structlog_is_configured(self, log: Log) -> None:
        """An engine can be kept out of the log."""
        events = Events(trace=False)
        assert not events.on()
        assert events.open("fibonacci") is None
        assert log == []

    def test_configuring_structlog_later_turns_events_on_and_resetting_it_off(self, log: Log) -> None:
        """An engine may be older than the configuration."""
        structlog.reset_defaults()
        events = Events()
        assert events.open("fibonacci") is None
        structlog.configure(processors=[log])
        opened(events)
        assert [entry["event"] for entry in log] == ["prove.submitted"]
        structlog.reset_defaults()
        assert events.open("fibonacci") is None

    def test_a_request_that_began_aloud_says_nothing_more_after_a_reset(
        self, log: Log, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Its logger is bound already, but nobody is asking any more."""
        job = opened(Events())
        structlog.reset_defaults()
        job.done()
        assert [entry["event"] for entry in log] == ["prove.submitted"]
        assert capsys.readouterr() == ("", "")

    def test_silence_costs_less_than_a_third_of_a_microsecond_a_request(self) -> None:
        """One check. The best of many rounds, since others use this machine too."""
        events = Events()
        rounds = []
        for _ in range(50):
            begun = time.perf_counter()
            for _ in range(1000):
                events.open("fibonacci")
            rounds.append((time.perf_counter() - begun) / 1000)
        assert min(rounds) < 0.3e-6


class TestTrace:
    def test_true_logs_though_structlog_is_not_configured(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Whoever says so wants structlog's own defaults."""
        opened(Events(trace=True))
        assert "prove.submitted" in capsys.readouterr().out

    def test_a_logger_keeps_what_is_bound_to_it(self) -> None:
        """And needs no configuration."""
        log = Log()
        logger = structlog.wrap_logger(None, processors=[log], wrapper_class=structlog.BoundLogger).bind(
            service="ledger"
        )
        opened(Events(trace=logger)).done()
        assert [(entry["event"], entry["service"]) for entry in log] == [
            ("prove.submitted", "ledger"),
            ("prove.completed", "ledger"),
        ]

    def test_a_function_gets_names_and_fields(self) -> None:
        """All fields, those that would be bound included."""
        heard: list[tuple[str, Mapping[str, object]]] = []
        events = Events(trace=lambda name, fields: heard.append((name, fields)))
        job = opened(events)
        job.emit("joined", flight=3)
        bound = {"engine": events.engine, "request": job.number, "program": "fibonacci"}
        assert heard == [("prove.submitted", bound), ("prove.joined", {**bound, "flight": 3})]

    def test_anything_else_is_refused(self) -> None:
        """When the engine is opened, not when it first speaks."""
        with pytest.raises(TypeError, match="trace must be"):
            Events(trace="yes")  # type: ignore[arg-type]


class TestFields:
    def test_events_of_a_request_have_its_number_its_program_and_their_own_fields(self, log: Log) -> None:
        """Numbers differ from request to request."""
        events = Events()
        first, second = opened(events, "fibonacci"), opened(events, "poseidon2-chain")
        log.clear()
        first.perform([Said("queued", {"flight": 1, "predicted": 0.5})])
        second.emit("joined", flight=1)
        common = {"level": "debug", "engine": events.engine, "flight": 1}
        assert log == [
            {**common, "event": "prove.queued", "request": first.number, "program": "fibonacci", "predicted": 0.5},
            {**common, "event": "prove.joined", "request": second.number, "program": "poseidon2-chain"},
        ]
        assert first.number != second.number

    def test_events_of_a_batch_have_the_engine(self, log: Log) -> None:
        """Two engines have two numbers."""
        one, other = Events(), Events()
        one.perform([Said("batch_started", {"batch": 7})])
        other.emit("batch_started", batch=7)
        assert [entry["engine"] for entry in log] == [one.engine, other.engine]
        assert one.engine != other.engine

    def test_the_ends_of_flights_are_told_apart_from_those_of_requests(self, log: Log) -> None:
        """A flight that failed is one event at debug, and each request that waited for it warns by itself."""
        events = Events()
        job = opened(events)
        log.clear()
        events.perform([Said("failed", {"flight": 1}), Said("proved", {"flight": 2}), Said("dropped", {"flight": 3})])
        job.perform([Said("dropped", {"flight": 4}), Said("inline", {"flight": 5})])
        assert [(e["event"], e["level"], e["flight"], e.get("outcome"), "request" in e) for e in log] == [
            ("prove.flight_ended", "debug", 1, "failed", False),
            ("prove.flight_ended", "debug", 2, "proved", False),
            ("prove.flight_ended", "debug", 3, "dropped", False),
            ("prove.flight_ended", "debug", 4, "dropped", False),
            ("prove.inline", "debug", 5, None, True),
        ]

    def test_every_end_has_its_event_and_level(self, log: Log) -> None:
        """Failures and refusals are warnings; of an error only the type is told, since its text may hold inputs."""
        events = Events()
        opened(events).done()
        opened(events).done(cancelled=True)
        opened(events).done(ValueError("the secret is 1234"))
        opened(events).emit("rejected")
        ends = [entry for entry in log if entry["event"] != "prove.submitted"]
        assert [(entry["event"], entry["level"]) for entry in ends] == [
            ("prove.completed", "debug"),
            ("prove.cancelled", "debug"),
            ("prove.failed", "warning"),
            ("prove.rejected", "warning"),
        ]
        assert ends[2]["error"] == "ValueError"
        assert "1234" not in repr(log)
        assert all(0 <= entry["seconds"] < 60 for entry in ends[:3])

    def test_a_story_ends_once(self, log: Log) -> None:
        """Whoever says first how."""
        events = Events()
        for end in ("hit", "rejected"):
            job = opened(events)
            job.emit(end)
            job.done()
        job = opened(events)
        job.done(cancelled=True)
        job.done(ValueError())
        ends = [entry["event"] for entry in log if entry["event"] != "prove.submitted"]
        assert ends == ["prove.hit", "prove.rejected", "prove.cancelled"]

    def test_a_filter_of_levels_filters(self) -> None:
        """Life at debug, trouble at warning."""
        log = Log()
        structlog.configure(processors=[log], wrapper_class=structlog.make_filtering_bound_logger(20))
        job = opened(Events())
        job.emit("joined", flight=1)
        job.done(ValueError())
        assert [entry["event"] for entry in log] == ["prove.failed"]

    def test_each_request_has_the_contextvars_of_its_caller_whoever_goes_on_with_its_story(self, log: Log) -> None:
        """Here another thread does, in a context of its own."""
        events = Events()
        jobs = []

        def ask(user: str) -> None:
            bind_contextvars(user=user)
            jobs.append(opened(events))

        def answer() -> None:
            bind_contextvars(user="worker")
            for job in jobs:
                job.done()
            events.emit("batch_finished")

        for user in ("ada", "emmy"):
            contextvars.Context().run(ask, user)
        thread = threading.Thread(target=answer)
        thread.start()
        thread.join()
        assert [(entry["event"], entry["user"]) for entry in log] == [
            ("prove.submitted", "ada"),
            ("prove.submitted", "emmy"),
            ("prove.completed", "ada"),
            ("prove.completed", "emmy"),
            ("prove.batch_finished", "worker"),
        ]


class TestFaults:
    def test_a_logger_that_raises_is_shown_once_and_disturbs_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A worker must not die of a log line."""
        shown: list[Any] = []
        monkeypatch.setattr(threading, "excepthook", shown.append)

        def broken(*_: Any) -> Any:
            raise ZeroDivisionError

        structlog.configure(processors=[broken])
        events = Events()
        for _ in range(3):
            opened(events).done()
            events.emit("batch_started")
        assert [args.exc_type for args in shown] == [ZeroDivisionError]

    def test_a_configuration_that_cannot_make_loggers_is_shown_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Binding is as little to be trusted as logging."""
        shown: list[Any] = []
        monkeypatch.setattr(threading, "excepthook", shown.append)

        def broken(*_: Any) -> Any:
            raise ZeroDivisionError

        structlog.configure(logger_factory=broken)
        opened(Events()).done()
        assert [args.exc_type for args in shown] == [ZeroDivisionError]

    def test_an_interrupt_goes_through(self) -> None:
        """Only an Exception is a logger's own affair."""

        def interrupted(*_: Any) -> Any:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            Events(trace=interrupted).open("fibonacci")

    def test_a_timeline_is_recorded_though_the_logger_raises(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """And though the engine is told to be silent."""
        monkeypatch.setattr(threading, "excepthook", lambda _: None)

        def broken(*_: Any) -> Any:
            raise ZeroDivisionError

        with capture_timeline() as timeline:
            opened(Events(trace=broken))
            opened(Events(trace=False))
        assert [event.name for event in timeline.events] == ["prove.submitted"] * 2
