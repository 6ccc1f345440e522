"""``aprover timeline``, and what ``aprover stress`` records and shows while it runs."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner, Result

from aprover import EngineStatistics
from aprover.cli import app
from aprover.cli.live import LiveView, Sample, sparkline
from aprover.cli.stress import Settings, stress
from aprover.telemetry import Timeline
from aprover.telemetry.timeline import LONGEST_LINE
from tests.support.runs import batch, recorded, request

DONE = {"placement": "offload", "batch": 1, "flight": 1, "reason": "workers are sooner"}


def invoke(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recording of two requests, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    recorded(
        [
            *request(1, (0.0, "submitted", {}), (0.1, "queued", {"flight": 1}), (0.8, "completed", DONE)),
            *request(2, (0.5, "submitted", {}), (0.5, "hit", {})),
            *batch(1, 0.25, 0.75, [1], reason="workers are sooner"),
        ],
        seconds=1.0,
    ).write("run.jsonl")
    return tmp_path / "run.jsonl"


@pytest.mark.usefixtures("run")
class TestFormats:
    def test_a_page_is_written_and_summed_up(self) -> None:
        """The README's command."""
        out = invoke("timeline", "run.jsonl", "-o", "run.html").stdout
        assert "2: 1 hit, 1 batched" in out
        assert "1 proof in 1 batch: workers are sooner" in out
        text = Path("run.html").read_text()
        assert text.startswith("<!doctype html>")
        assert "<title>run.jsonl</title>" in text
        assert str(Path("run.html").stat().st_size) in out.replace(",", "")

    def test_the_title_can_be_chosen(self) -> None:
        """As text."""
        invoke("timeline", "run.jsonl", "-o", "run.html", "--title", "a <b> run")
        assert "<title>a &lt;b&gt; run</title>" in Path("run.html").read_text()

    def test_perfetto_gets_one_json_object(self) -> None:
        """In the Chrome trace event format."""
        invoke("timeline", "run.jsonl", "-o", "run.json", "--format", "perfetto")
        data = json.loads(Path("run.json").read_text())
        assert {event["ph"] for event in data["traceEvents"]} == {"M", "X", "b", "e", "C"}

    def test_without_an_output_there_are_figures_only(self) -> None:
        """In JSON they are all there."""
        assert "written" not in invoke("timeline", "run.jsonl").stdout
        out = json.loads(invoke("timeline", "run.jsonl", "--json").stdout)
        assert out["fates"]["hit"] == out["fates"]["batched"] == 1
        assert (out["throughput"], out["occupancy"], out["file"]) == (2.0, 0.5, None)
        assert out["reasons"][0]["reason"] == "workers are sooner"

    def test_standard_input_will_do(self) -> None:
        """As a file named -."""
        command = f"{sys.executable} -m aprover timeline - --json < run.jsonl"
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=60)
        assert json.loads(done.stdout)["requests"] == 2

    def test_a_recording_that_was_cut_says_so(self) -> None:
        """In the text and on the page."""
        timeline = Timeline(limit=3)
        for _ in range(10):
            timeline.record("prove.submitted", {"request": 1, "program": "x"})
        timeline.write("run.jsonl")
        assert "3 events, 7 not kept" in invoke("timeline", "run.jsonl", "-o", "run.html").stdout
        assert '"dropped":7' in Path("run.html").read_text()

    @pytest.mark.parametrize(
        ("words", "code", "expected"),
        [
            (["run.jsonl", "--format", "html"], 2, "needs --output"),
            (["run.jsonl", "--format", "summary", "-o", "x"], 2, "allowed: html or perfetto"),
            (["run.jsonl", "-o", "nowhere/x"], 3, "no such folder: nowhere"),
            (["nothing.jsonl"], 3, "nothing.jsonl: No such file"),
            (["."], 3, "Is a directory"),
        ],
    )
    def test_a_wrong_option_or_file_is_named(self, words: list[str], code: int, expected: str) -> None:
        """In a sentence, and nothing is written."""
        assert expected in invoke("timeline", *words, code=code).stderr
        assert not Path("x").exists()


class TestMalformedRecordings:
    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("nonsense", "line 2 is not of a timeline: Expecting value at character 1"),
            ("[]", "line 2 is not of a timeline: a list is no JSON object"),
            ("{}", "line 2 is not of a timeline: it has no 't'"),
            ('{"t": -1, "event": "x", "thread": "y"}', "t = -1; allowed: seconds from 0 to 1e+09"),
            ('{"t": "0", "event": "x", "thread": "y"}', "t = '0'; allowed: seconds"),
            ('{"t": 0, "event": 5, "thread": "y"}', "event = 5, thread = 'y'; allowed: text"),
            (
                '{"t": 0, "event": "x", "thread": "y", "request": 1.5}',
                "request = 1.5; allowed: integers from 0 to 2^53",
            ),
            ('{"t": 0, "event": "x", "thread": "y", "flight": true}', "flight = True; allowed: integers"),
            ('{"t": 0, "event": "x", "thread": "y", "batch": 1' + "0" * 30 + "}", "batch = 1"),
            ('{"t": 0, "event": "x", "thread": "y", "seconds": 1e400}', "seconds = inf; allowed: seconds"),
            ('{"t": 0, "event": "x", "thread": "y", "program": []}', "program = []; allowed: text"),
            ('{"t": 0, "event": "x", "thread": "y", "flights": 1}', "flights = 1; allowed: a list of numbers"),
            ('{"t": 0, "event": "x", "thread": "y", "flights": ["1"]}', "flights = '1'; allowed: integers"),
            ("[" * 200_000, "line 2 is not of a timeline: it is nested too deeply"),
            ('{"t": ' + "9" * 5000 + "}", "line 2 is not of a timeline"),
            (b"\xff\xfe", "line 2 is not of a timeline: 'utf-8' codec can't decode byte 0xff"),
            ("\x1b[31mred", "line 2 is not of a timeline"),
        ],
    )
    def test_the_line_and_the_reason_are_named(self, run: Path, line: str | bytes, expected: str) -> None:
        """On one line of text, without what a terminal would obey."""
        head = run.read_bytes().splitlines()[0]
        run.write_bytes(head + b"\n" + (line if isinstance(line, bytes) else line.encode()) + b"\n")
        stderr = invoke("timeline", "run.jsonl", "-o", "x", code=3).stderr
        assert expected in stderr
        assert "\x1b" not in stderr
        assert len(stderr) < 400
        assert not Path("x").exists()

    @given(st.binary(max_size=200))
    @settings(max_examples=60)
    def test_junk_is_an_error_whatever_it_is(self, junk: bytes) -> None:
        """And no other exception than the documented ones."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(junk)
            file.flush()
            with pytest.raises(ValueError, match=r"^line \d+ is not of a timeline: "):
                Timeline.read(file.name)

    def test_a_line_without_an_end_is_refused_before_it_fills_the_memory(self) -> None:
        """Such as an endless device."""
        begun = time.monotonic()
        assert f"it is longer than {LONGEST_LINE} bytes" in invoke("timeline", "/dev/zero", code=3).stderr
        assert time.monotonic() - begun < 5

    def test_errors_are_json_too(self, run: Path) -> None:
        """For programs that read the output."""
        run.write_text("")
        error = json.loads(invoke("timeline", "run.jsonl", "--json", code=3).stdout)["error"]
        assert error["message"] == "run.jsonl: line 1 is not of a timeline: the file is empty"


QUICK = ("--seconds", "0.3", "--concurrency", "20", "--mix", "20:8,300:2")


class TestRecordingAStress:
    def test_what_it_records_is_what_it_did(self, tmp_path: Path) -> None:
        """The counters of the report and the marks of the picture agree."""
        path = str(tmp_path / "run.jsonl")
        report = json.loads(invoke("stress", *QUICK, "--record", path, "--json").stdout)
        figures = json.loads(invoke("timeline", path, "--json").stdout)
        assert figures["requests"] == report["statistics"]["requests"]
        assert figures["fates"]["hit"] == report["statistics"]["hits"]
        # A hit beyond the budget of its pass lets others run first, and its caller may be cancelled there: it is a hit.
        assert 0 <= figures["answered"] - report["answered"] <= report["cancelled"]
        assert figures["answered"] + figures["fates"]["cancelled"] == report["statistics"]["requests"]
        assert figures["fates"]["pending"] == 0

    def test_a_place_where_nothing_can_be_written_is_said_before_the_work(self, tmp_path: Path) -> None:
        """No load is made for nothing."""
        begun = time.monotonic()
        assert "No such file" in invoke("stress", "-s", "30", "--record", str(tmp_path / "no" / "x"), code=3).stderr
        assert time.monotonic() - begun < 5


def sample(at: float, **more: Any) -> Sample:
    facts: dict[str, Any] = {
        "seconds": 0.25,
        "answered": 500,
        "cancelled": 3,
        "latencies": [0.001] * 99 + [0.05],
        "stalls": [0.0005, 0.004],
        "occupancy": 0.75,
        "statistics": EngineStatistics(requests=100, hits=40, joins=10, waiters=7, queued=5, evictions=2),
        "before": EngineStatistics(),
    }
    return Sample(at, **{**facts, **more})


def view(console: Console) -> LiveView:
    return LiveView("20 tasks under trio", seconds=10, workers=2, cache_bytes=2**28, console=console)


def painted(shown: LiveView, width: int = 110) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(shown.render())
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


class TestLiveView:
    def test_it_shows_what_happened_since_the_sample_before(self) -> None:
        """Rates of the last quarter of a second, not of the whole run."""
        shown = view(Console(file=io.StringIO(), force_terminal=True))
        before = EngineStatistics(requests=100, hits=40, joins=10)
        after = attrs.evolve(before, requests=200, hits=120, joins=15, waiters=7)
        with shown:
            shown.update(sample(0.25))
            shown.update(sample(0.5, statistics=after, before=before))
            text = painted(shown)
        for expected in (
            "0.5 of 10 s",
            "2,000 answers a second",
            "p50 1.00 ms  p90 1.00 ms  p99 1.00 ms  max 50.00 ms",
            "80%",
            "5%",
            "75% of 2",
            "7 callers",
            "3 callers",
        ):
            assert expected in text

    @pytest.mark.parametrize("width", [80, 100, 140])
    def test_figures_are_never_cut_but_what_was_before(self, width: int) -> None:
        """On a narrow terminal the sparklines are shorter, and end with the latest sample all the same."""
        shown = view(Console(file=io.StringIO(), force_terminal=True))
        busy = EngineStatistics(
            requests=10**6, waiters=12_345, queued=1_234, parked=1_234, inline=12_345, offloaded=123_456
        )
        with shown:
            for i in range(1, 61):
                shown.update(sample(i / 4, statistics=busy, before=EngineStatistics(), answered=0 if i < 60 else 500))
            text = painted(shown, width)
        assert "…" not in text
        assert "12,345 callers, 1,234 proofs queued, 1,234 not admitted" in text
        throughput = next(line for line in text.splitlines() if "throughput" in line).rstrip("│ ")
        assert throughput.endswith("▁█")
        assert all(len(line) == width for line in text.splitlines())

    def test_before_the_first_sample_it_says_that_it_starts(self) -> None:
        """Rather than nothing."""
        assert "starting" in painted(view(Console(file=io.StringIO(), force_terminal=True)))

    def test_without_a_terminal_it_writes_a_line_a_second(self) -> None:
        """Not one for each sample, and no control characters."""
        file = io.StringIO()
        with view(Console(file=file)) as shown:
            for quarter in range(1, 13):
                shown.update(sample(quarter * 0.25))
        lines = file.getvalue().splitlines()
        assert len(lines) == 3
        assert "2,000 answers/s" in lines[0]
        assert "workers  75%" in lines[0]
        assert "\x1b" not in file.getvalue()

    def test_it_leaves_the_terminal_as_it_was(self) -> None:
        """The cursor is shown again, even when the load fails."""
        file = io.StringIO()
        with pytest.raises(ZeroDivisionError), view(Console(file=file, force_terminal=True)) as shown:
            shown.update(sample(0.25))
            raise ZeroDivisionError
        assert "\x1b[?25h" in file.getvalue()

    @given(st.lists(st.floats(0, 1e9), max_size=60))
    def test_a_sparkline_has_a_character_for_each_value_and_is_full_at_the_largest(self, values: list[float]) -> None:
        """Whatever the values are."""
        line = sparkline(values)
        assert len(line) == len(values)
        if values and max(values) > 0:
            assert line[values.index(max(values))] == "█"

    def test_a_load_is_told_while_it_runs(self) -> None:
        """In samples that follow one another and add up to no more than the whole."""
        told: list[Sample] = []
        report = stress(Settings(concurrency=20, seconds=0.8, mix=((20, 1.0),)), told.append)
        assert told
        assert [one.at for one in told] == sorted(one.at for one in told)
        assert 0 < sum(one.answered for one in told) <= report.answered
        assert all(len(one.latencies) == one.answered for one in told)
        assert all(0 <= one.occupancy <= 1 for one in told)
        assert all(one.before.requests <= one.statistics.requests for one in told)
        assert report.left == []

    def test_the_report_is_on_standard_output_and_the_view_is_not(self) -> None:
        """So that the one can be piped while the other is watched."""
        result = invoke("stress", "--live", "--seconds", "1.2", "--concurrency", "5", "--mix", "20", "--json")
        json.loads(result.stdout)
        assert "answers/s" in result.stderr
