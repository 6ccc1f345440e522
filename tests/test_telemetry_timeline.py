"""Timelines: what they keep, their bound, and their file."""

from __future__ import annotations

import json
import math
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aprover.telemetry import Events, Timeline, capture_timeline

FIELDS = st.dictionaries(
    st.text(min_size=1, max_size=8).filter(lambda name: name not in {"t", "event", "thread", "name"}),
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    max_size=4,
)


def names(timeline: Timeline) -> list[str]:
    return [event.name for event in timeline.events]


class TestCapture:
    def test_it_records_inside_the_block_only(self) -> None:
        """All engines of the process."""
        one, other = Events(), Events()
        one.emit("before")
        with capture_timeline() as timeline:
            one.emit("inside")
            other.emit("inside_too")
        one.emit("after")
        assert names(timeline) == ["prove.inside", "prove.inside_too"]
        assert [event.fields["engine"] for event in timeline.events] == [one.engine, other.engine]

    def test_several_record_independently(self) -> None:
        """Each from its own beginning to its own end."""
        events = Events()
        with capture_timeline() as outer:
            events.emit("a")
            with capture_timeline() as inner:
                events.emit("b")
            events.emit("c")
        assert names(outer) == ["prove.a", "prove.b", "prove.c"]
        assert names(inner) == ["prove.b"]

    def test_it_ends_with_an_exception_too(self) -> None:
        """Nothing records for ever by mistake."""
        events = Events()
        with pytest.raises(ZeroDivisionError), capture_timeline() as timeline:
            raise ZeroDivisionError
        events.emit("after")
        assert names(timeline) == []
        assert not events.on()

    def test_events_have_times_and_threads(self) -> None:
        """In the order of time, within the duration."""
        events = Events()
        with capture_timeline() as timeline:
            events.emit("here")
            thread = threading.Thread(target=lambda: events.emit("there"), name="another")
            thread.start()
            thread.join()
        here, there = timeline.events
        assert (here.thread, there.thread) == (threading.current_thread().name, "another")
        assert timeline.duration is not None
        assert 0 <= here.seconds <= there.seconds <= timeline.duration

    def test_it_keeps_the_beginning_and_counts_the_rest(self) -> None:
        """Memory is bounded, from several threads as well."""
        events = Events()
        with capture_timeline(limit=10) as timeline:

            def talk() -> None:
                for _ in range(50):
                    events.emit("x")

            threads = [threading.Thread(target=talk) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert len(timeline) == 10
        assert timeline.dropped == 190

    @pytest.mark.parametrize("limit", [0, -1, 1.5, "10", True])
    def test_a_limit_is_a_positive_integer(self, limit: Any) -> None:
        """Else ValueError."""
        with pytest.raises(ValueError, match="limit"):
            Timeline(limit)


class TestFile:
    @given(st.lists(st.tuples(st.sampled_from(["prove.queued", "prove.hit"]), FIELDS), max_size=5))
    def test_what_is_written_is_what_is_read(self, told: list[tuple[str, dict[str, Any]]]) -> None:
        """Times to a tenth of a microsecond."""
        timeline = Timeline(3)
        for name, fields in told:
            timeline.record(name, fields)
        timeline.close()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run.jsonl"
            timeline.write(path)
            again = Timeline.read(path)
        assert [(e.thread, e.name, e.fields) for e in again.events] == [
            (e.thread, e.name, e.fields) for e in timeline.events
        ]
        assert [e.seconds for e in again.events] == pytest.approx([e.seconds for e in timeline.events], abs=1e-7)
        assert (again.started, again.duration, again.dropped) == (timeline.started, timeline.duration, timeline.dropped)

    def test_each_line_is_a_json_object_and_the_first_says_what_it_is(self, tmp_path: Path) -> None:
        """As the module's page says."""
        with capture_timeline(limit=1) as timeline:
            Events().emit("batch_started", batch=1, flights=[1, 2])
            Events().emit("batch_finished", batch=1)
        timeline.write(tmp_path / "run.jsonl")
        head, event = map(json.loads, (tmp_path / "run.jsonl").read_text().splitlines())
        assert (head["format"], head["version"], head["events"], head["dropped"]) == ("aprover-timeline", 1, 1, 1)
        assert event["event"] == "prove.batch_started"
        assert event["flights"] == [1, 2]
        assert {"t", "thread", "engine"} <= event.keys()

    def test_objects_are_written_as_their_types_and_infinities_as_null(self) -> None:
        """No repr of anything gets into the file, and no value that JSON does not have."""

        class Secret:
            def __repr__(self) -> str:
                raise AssertionError

        timeline = Timeline()
        timeline.record("x", {"a": Secret(), "b": math.inf, "c": [math.nan, Secret()]})
        _, line = timeline.lines()
        data = json.loads(line)
        assert (data["a"], data["b"], data["c"]) == ("Secret", None, [None, "Secret"])

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("", 1),
            ("nonsense\n", 1),
            ("[]\n", 1),
            ('{"format": "aprover-timeline", "version": 2}\n', 1),
            ('HEAD\n{"t": 0}\n', 2),
            ('HEAD\n{"t": NaN, "event": "x", "thread": "y"}\n', 2),
            ('HEAD\n{"t": 0, "event": "x", "thread": "y"}\n[]\n', 3),
            ("HEAD\n" + "[" * 100_000 + "\n", 2),
        ],
    )
    def test_what_is_no_timeline_is_a_value_error_that_names_the_line(
        self, tmp_path: Path, text: str, line: int
    ) -> None:
        """Whatever is in the file."""
        head = next(iter(Timeline().lines()))
        (tmp_path / "run.jsonl").write_text(text.replace("HEAD", head))
        with pytest.raises(ValueError, match=f"^line {line} is not of a timeline"):
            Timeline.read(tmp_path / "run.jsonl")

    def test_reading_is_bounded_too(self, tmp_path: Path) -> None:
        """What does not fit is counted."""
        timeline = Timeline()
        for _ in range(10):
            timeline.record("x", {})
        timeline.write(tmp_path / "run.jsonl")
        again = Timeline.read(tmp_path / "run.jsonl", limit=4)
        assert (len(again), again.dropped) == (4, 6)
