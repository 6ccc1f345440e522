"""Every example runs, quickly, and prints what its page promises."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"


def run(name: str) -> str:
    """Its output; warnings are errors."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


class TestExamples:
    def test_every_example_is_run_by_a_test(self) -> None:
        """Here, or where the web examples and the one with lookups are."""
        tested = set(re.findall(r'run\("(\w+)"\)', Path(__file__).read_text()))
        assert tested | {"sort", "web_fastapi", "web_trio"} == {path.stem for path in EXAMPLES.glob("*.py")}

    def test_the_first_one_proves_and_verifies(self) -> None:
        """The 20th Fibonacci number is 6765."""
        out = run("hello")
        assert re.search(r"made a proof of \d{4} bytes", out)
        assert "F(20) = 6765, with 128 proven bits" in out

    def test_a_program_of_ones_own_proves_and_refuses(self) -> None:
        """Lucas's numbers are a linear recurrence."""
        out = run("linear_recurrence")
        assert "cells that no constraint notices: none" in out
        assert "the Lucas number L(20) is 15127" in out
        assert "refused: initial = (2, 1, 3) is not allowed" in out

    def test_a_burst_makes_each_proof_once(self) -> None:
        """Ten different ones of a thousand requests, and none the second time."""
        out = run("concurrent_burst")
        assert "1000 requests took" in out
        assert re.search(r"ms: 10 proofs were made", out)
        assert re.search(r"once more took \d+ ms: 0 proofs were made", out)
        joined, hits = map(int, re.findall(r"(\d+) (?:joined|found)", out))
        assert joined + hits == 990

    def test_cancelling_and_deadlines_do_what_they_say(self) -> None:
        """And nothing is left over."""
        out = run("cancel_and_deadline")
        assert "cancelled: True" in out
        assert "the impatient one has left" in out
        assert re.search(r"the other one has a proof of \d{5,} bytes", out)
        assert "DeadlineExceeded: " in out
        assert "left over: 0 waiters, 0 flights, 0 busy workers" in out

    def test_asyncio_threads_and_loops_share_an_engine(self) -> None:
        """Three times forty requests, forty proofs."""
        out = run("asyncio_app")
        assert "this loop got 40 proofs, a thread 40, another loop 40" in out
        assert "120 requests, 40 proofs made" in out
        assert "gave up on a large one" in out
        assert "public_outputs=(6765,)" in out

    def test_the_log_begins_when_it_is_configured_and_the_timeline_is_json(self) -> None:
        """One user joins the other's proof and a third one hits, each under the user's own name."""
        out = run("trace_logging")
        log, _, rest = out.partition("\n\n")
        lines = log.splitlines()
        assert "user=" in lines[0]  # the request before said nothing
        assert sum("prove.submitted" in line for line in lines) == 3
        (joined,) = (line for line in lines if "prove.joined" in line)
        (hit,) = (line for line in lines if "prove.hit" in line)
        assert "user=emmy" in joined or "user=ada" in joined
        assert "user=sofia" in hit
        events = [json.loads(line) for line in rest.splitlines()[1:]]
        assert events[0]["format"] == "aprover-timeline"
        assert events[1]["event"] == "prove.submitted"

    def test_a_stress_of_ones_own_leaves_nothing(self) -> None:
        """It checks by itself."""
        out = run("stress")
        assert "requests a second" in out
        assert "nothing is left: no waiter, no flight, no thread" in out
