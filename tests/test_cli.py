from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import aprover
from aprover import Fibonacci, Poseidon2Chain, Proof
from aprover.cli import app
from aprover.cli.programs import build, find
from aprover.cli.report import DELAY_SECONDS, Progressing
from tests.programs_for_tests import Tribonacci

OWN = "tests.programs_for_tests:Tribonacci"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*words: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    return invoke


@pytest.fixture
def proved(run: Any) -> Any:
    run("prove", "fibonacci", "20", "-o", "fib.proof")
    return run


def tampered(name: str = "fib.proof", position: int = -1) -> None:
    data = bytearray(Path(name).read_bytes())
    data[position] ^= 1
    Path(name).write_bytes(data)


class TestProve:
    def test_it_writes_a_proof_that_verifies(self, run: Any) -> None:
        """The README's command."""
        result = run("prove", "fibonacci", "100", "-o", "fib.proof")
        assert "proven bits" in result.stdout
        assert aprover.verify(Path("fib.proof").read_bytes()) == Fibonacci(100).statement()

    def test_json_has_the_facts(self, run: Any) -> None:
        """One object, on one line."""
        out = json.loads(run("prove", "fibonacci", "n=20", "-o", "fib.proof", "--json", "--security", "128").stdout)
        assert out["statement"] == {
            "program": "fibonacci",
            "parameters": {"n": 20},
            "public_inputs": [0, 1],
            "public_outputs": [6765],
        }
        assert out["security"]["proven_bits"] >= 128
        assert out["bytes"] == Path("fib.proof").stat().st_size
        assert out["sha256"] == Proof.from_bytes(Path("fib.proof").read_bytes()).digest
        assert out["seconds"] > 0

    def test_every_option_reaches_the_prover(self, run: Any) -> None:
        """The same bytes as from the library."""
        words = ["--security", "80", "--prefer", "size", "--check", "--quiet"]
        run("prove", "fibonacci", "3000", "a=5", "b=6", "-o", "x", *words)
        proof = aprover.prove_sync(Fibonacci(3000, 5, 6), security=80, prefer="size")
        assert Path("x").read_bytes() == proof.to_bytes()
        run("prove", "fibonacci", "20", "-o", "y", "--backend", "trace")
        assert Proof.from_bytes(Path("y").read_bytes()).backend == "trace"

    def test_memory_can_be_limited(self, run: Any) -> None:
        """In bytes, or with a unit; too little is a wrong input, and so is what is no number."""
        run("prove", "fibonacci", "20", "-o", "z", "--memory-limit", "1.5M")
        assert Path("z").read_bytes() == aprover.prove_sync(Fibonacci(20)).to_bytes()
        result = run("prove", "fibonacci", "20", "a=77", "-o", "z", "--memory-limit", "1K", code=2)
        assert "memory_limit = 1024 is not allowed" in result.stderr
        assert (
            "'lots' is no number of bytes" in run("explain", "fibonacci", "20", "--memory-limit", "lots", code=2).stderr
        )

    def test_one_s_own_program_is_imported(self, run: Any) -> None:
        """By module:Class."""
        run("prove", OWN, "20", "seed=3", "-o", "own.proof")
        assert aprover.verify(Path("own.proof").read_bytes(), program=Tribonacci).parameters == (("n", 20),)

    def test_a_private_input_is_not_printed(self, run: Any) -> None:
        """Neither in text nor in JSON."""
        for words in ([], ["--json"]):
            result = run("prove", OWN, "20", "seed=123456789", "-o", "own.proof", *words)
            assert "123456789" not in result.output

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["fibonacci", "0"], "n = 0 is not allowed; allowed: "),
            (["fibonacci", "ten"], "n = 'ten' is not allowed"),
            (["fibonacci"], "needs a value for n"),
            (["fibonacci", "1", "2", "3", "4"], "at most 3 values"),
            (["fibonacci", "1", "n=2"], "n is given twice"),
            (["lucas", "1"], "unknown program 'lucas'"),
            (["no_such_module:X", "1"], "cannot import"),
            (["os:path", "1"], "is not a Program"),
            (["fibonacci", "1", "--security", "500"], "security = 500 is not allowed"),
        ],
    )
    def test_wrong_inputs_exit_with_2_and_say_what_is_wrong(self, run: Any, words: list[str], expected: str) -> None:
        """A sentence on standard error, no file."""
        result = run("prove", *words, "-o", "x.proof", code=2)
        assert expected in result.stderr
        assert result.stdout == ""
        assert not Path("x.proof").exists()

    def test_bits_that_the_program_cannot_reach_are_a_wrong_option(self, run: Any) -> None:
        """Exit 2, not 1: no proof was rejected."""
        result = run("prove", "tests.test_engine:Steep", "--security", "128", "-o", "x", code=2)
        assert result.stderr.startswith("error: SECURITY")

    def test_a_failing_trace_exits_with_4(self, run: Any) -> None:
        """And its cause is named."""
        result = run("prove", "tests.test_verify:Liar", "8", "-o", "x", code=4)
        assert result.stderr.startswith("error: ")

    def test_a_missing_folder_exits_with_3_before_the_work(self, run: Any) -> None:
        """A long proof is not made for nothing."""
        begun = time.perf_counter()
        result = run("prove", "fibonacci", str(2**22), "-o", "nowhere/x", code=3)
        assert "nowhere" in result.stderr
        assert time.perf_counter() - begun < 1

    def test_errors_are_json_too(self, run: Any) -> None:
        """With --json a program that reads the output needs nothing else."""
        result = run("prove", "fibonacci", "0", "-o", "x", "--json", code=2)
        error = json.loads(result.stdout)["error"]
        assert (error["type"], error["field"]) == ("ProgramError", "n")


class TestVerify:
    @pytest.mark.parametrize("words", [[], ["--reference"]])
    def test_a_good_proof_exits_with_0_and_prints_the_statement(self, proved: Any, words: list[str]) -> None:
        """Both verifiers."""
        result = proved("verify", "fib.proof", *words)
        assert "'fibonacci', parameters=(n=20)" in result.stdout
        assert "(6765,)" in result.stdout
        out = json.loads(proved("verify", "fib.proof", "--json", *words).stdout)
        assert out["verified"] is True
        assert out["statement"]["public_outputs"] == [6765]

    @pytest.mark.parametrize("words", [[], ["--reference"]])
    def test_a_tampered_proof_exits_with_1_and_names_the_check(self, proved: Any, words: list[str]) -> None:
        """Both verifiers, the same code."""
        tampered()
        result = proved("verify", "fib.proof", *words, code=1)
        assert result.stderr.startswith("rejected: QUOTIENT_MERKLE")
        assert result.stdout == ""
        error = json.loads(proved("verify", "fib.proof", "--json", *words, code=1).stdout)["error"]
        assert error["code"] == "QUOTIENT_MERKLE"

    def test_too_few_bits_exit_with_1(self, run: Any) -> None:
        """And say how many there are."""
        run("prove", "fibonacci", "3000", "-o", "fib.proof", "--security", "50")
        result = run("verify", "fib.proof", "--json", code=1)
        error = json.loads(result.stdout)["error"]
        assert error["code"] == "SECURITY"
        assert 50 <= error["reachable_bits"] < 100
        run("verify", "fib.proof", "--min-security", "50")

    def test_a_missing_file_exits_with_3(self, run: Any) -> None:
        """As opposed to a bad proof."""
        assert "nothing" in run("verify", "nothing", code=3).stderr

    def test_junk_exits_with_1(self, run: Any) -> None:
        """ENVELOPE."""
        Path("junk").write_bytes(b"junk")
        assert "ENVELOPE" in run("verify", "junk", code=1).stderr

    def test_one_s_own_program_has_to_be_named(self, run: Any) -> None:
        """Code named by a proof is never run."""
        run("prove", OWN, "20", "-o", "own.proof")
        assert "PROGRAM" in run("verify", "own.proof", code=1).stderr
        run("verify", "own.proof", "--program", OWN)
        run("verify", "own.proof", "--program", OWN, "--reference")


class TestInspect:
    def test_it_shows_the_claim_and_the_report(self, proved: Any) -> None:
        """And that nothing was checked."""
        text = proved("inspect", "fib.proof").stdout
        assert "no (aprover verify does)" in text
        assert re.search(r"^  queries +never fails$", text, re.MULTILINE)
        assert re.search(r"^  batching +\d+\.\d bits$", text, re.MULTILINE)
        out = json.loads(proved("inspect", "fib.proof", "--json").stdout)
        assert out["verified"] is False
        assert [term["name"] for term in out["security"]["terms"]][:2] == ["constraints", "out-of-domain"]

    def test_it_works_on_a_proof_that_would_be_rejected(self, proved: Any) -> None:
        """It does not verify."""
        tampered()
        proved("inspect", "fib.proof")

    def test_it_works_where_the_program_is_unknown(self, run: Any) -> None:
        """Only the report is missing."""
        run("prove", OWN, "20", "-o", "own.proof")
        assert "PROGRAM" in run("inspect", "own.proof").stdout
        assert json.loads(run("inspect", "own.proof", "--json").stdout)["security"] is None
        assert "proven bits" in run("inspect", "own.proof", "--program", OWN).stdout

    def test_a_hostile_statement_is_shown_as_it_is(self, run: Any) -> None:
        """No markup, no control characters, no integer that Python refuses to print."""
        statement = aprover.Statement("[red]x[/red]\x1b[31m", (("n", 1 << 50_000), ("\x1b[0m", 0)), (), ())
        Path("x").write_bytes(Proof("stark", statement, b"").to_bytes())
        text = run("inspect", "x").stdout
        assert "[red]x[/red]" in text
        assert "\x1b" not in text
        assert "50001 bits" in text
        json.loads(run("inspect", "x", "--json").stdout)


class TestWords:
    def test_values_are_literals_by_position_or_by_name(self) -> None:
        """Tuples too."""
        seed = tuple(range(16))
        assert build(find("poseidon2-chain"), [str(seed), "n=3"]) == Poseidon2Chain(seed, 3)
        assert build(Fibonacci, ["20", "b=3"]) == Fibonacci(20, 0, 3)


class TestProgressing:
    def test_it_shows_nothing_for_quick_work(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A bar appears after half a second, and only on a terminal."""
        now = 100.0
        monkeypatch.setattr("aprover.cli.report.time.monotonic", lambda: now)
        with Progressing(quiet=False, terminal=True) as progress:
            now += DELAY_SECONDS * 0.9
            progress("prove", 0.1)
            assert not progress.shown
            now += DELAY_SECONDS
            progress("prove", 0.2)
            assert progress.shown

    def test_a_phase_that_is_over_stays_with_its_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """One line for each, in order; work that ends where it began has one."""
        monkeypatch.setattr("aprover.cli.report.DELAY_SECONDS", 0.0)
        with Progressing(quiet=False, terminal=True) as progress:
            for phase, fraction in (("queued", 0.0), ("trace", 0.5), ("prove", 0.1), ("prove", 0.9)):
                progress(phase, fraction)
            assert progress.phases == ["queued", "trace", "prove"]

    @pytest.mark.parametrize("settings", [{"quiet": True, "terminal": True}, {"quiet": False, "terminal": False}])
    def test_it_stays_away_where_it_is_not_wanted(
        self, settings: dict[str, bool], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """--quiet, --json, or no terminal."""
        now = 100.0
        monkeypatch.setattr("aprover.cli.report.time.monotonic", lambda: now)
        with Progressing(**settings) as progress:
            now += 10
            progress("prove", 0.5)
            assert not progress.shown


class TestProcess:
    def test_the_command_runs_as_a_module(self) -> None:
        """And knows its version."""
        words = [sys.executable, "-m", "aprover", "--version"]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == aprover.__version__

    def test_an_interrupt_exits_with_130_and_no_traceback(self, tmp_path: Path) -> None:
        """Ctrl-C on a long proof."""
        words = ["prove", "fibonacci", str(2**22), "-o", str(tmp_path / "x")]
        process = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTIBLE, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err.strip()) == (130, "", "interrupted")
        assert not (tmp_path / "x").exists()


INTERRUPTIBLE = """
import threading, aprover, sys
from aprover import prover
real = prover.prove_prepared
def announced(*args, **settings):
    print("ready", flush=True)
    return real(*args, **settings)
prover.prove_prepared = announced
from aprover.cli import main
main()
"""
