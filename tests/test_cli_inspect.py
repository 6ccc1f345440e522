"""The commands that look at proofs, programs and the machine; completion; and errors that no command should show."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import aprover
from aprover import Fibonacci, Poseidon2Chain, Program, Proof, Sha256
from aprover.cli import app, report
from aprover.cli.anatomy import parts_of
from aprover.cli.app import LONGEST_PROOF, read_bounded
from aprover.cli.programs import SHIPPED, build, complete_program, find

OWN = "tests.programs_for_tests:Tribonacci"
COMMANDS = ("prove", "verify", "inspect", "check", "explain", "timeline", "stress", "bench", "calibrate", "demo")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*words: str, code: int = 0, stdin: bytes | None = None) -> Result:
        result = CliRunner().invoke(app, list(words), input=stdin)
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    return invoke


class TestAnatomy:
    @pytest.mark.parametrize(
        "program",
        [
            Fibonacci(20),
            Fibonacci(3000),
            Poseidon2Chain(tuple(range(16)), 100),
            Sha256(b"message"),
        ],
    )
    @pytest.mark.parametrize("security", [60, 100])
    def test_the_parts_are_all_of_the_proof(self, program: Program, security: int) -> None:
        """Narrow and wide, with and without committed folds."""
        proof = aprover.prove_sync(program, security=security)
        parts = parts_of(proof, None)
        assert sum(part.size for part in parts) == len(proof)
        assert min(part.size for part in parts) >= 0
        sizes = {part.name: part.size for part in parts}
        assert sizes["statement"] == len(proof.statement.to_bytes())
        assert sizes["parameters"] == sizes["nonce"] == 8
        # No less than the caps say, and what is opened is most of a proof.
        assert sizes["trace opened"] + sizes["quotient opened"] > sizes["trace commitment"]

    def test_of_a_proof_that_was_cut_they_still_add_up(self) -> None:
        """What is not there is not counted."""
        proof = aprover.prove_sync(Fibonacci(3000))
        for length in (8, 40, 300, 1000, len(proof.body) - 1):
            cut = Proof("stark", proof.statement, proof.body[:length])
            parts = parts_of(cut, None)
            assert sum(part.size for part in parts) == len(cut)
            assert min(part.size for part in parts) >= 0

    def test_inspect_shows_them_with_their_shares(self, run: Any) -> None:
        """In text and in JSON, without checking the proof."""
        run("prove", "fibonacci", "3000", "-o", "x")
        text = run("inspect", "x").stdout
        for name in ("envelope", "statement", "trace commitment", "fold 1 commitment", "final polynomial", "nonce"):
            assert f"  {name} " in text
        out = json.loads(run("inspect", "x", "--json").stdout)
        assert sum(part["bytes"] for part in out["parts"]) == out["bytes"] == Path("x").stat().st_size
        assert out["verified"] is False

    def test_a_commitment_has_hardly_any(self, run: Any) -> None:
        """Of the trace backend."""
        run("prove", "fibonacci", "20", "-o", "x", "--backend", "trace")
        parts = json.loads(run("inspect", "x", "--json").stdout)["parts"]
        assert [part["part"] for part in parts] == ["envelope", "statement", "commitment"]

    def test_standard_input_will_do(self, run: Any) -> None:
        """As a file named -."""
        data = aprover.prove_sync(Fibonacci(20)).to_bytes()
        assert "6765" in run("inspect", "-", stdin=data).stdout
        run("verify", "-", stdin=data)

    def test_one_of_two_things_is_inspected(self, run: Any) -> None:
        """A proof or a program."""
        assert "allowed: a FILE with a proof, or --program NAME" in run("inspect", code=2).stderr


class TestPrograms:
    @pytest.mark.parametrize("name", sorted(SHIPPED))
    def test_inspect_says_what_a_program_takes(self, run: Any, name: str) -> None:
        """Its inputs with their roles."""
        out = json.loads(run("inspect", "--program", name, "--json").stdout)
        assert out["program"] == name
        assert {line["role"] for line in out["inputs"]} <= {"parameter", "public", "private"}
        assert name in run("inspect", "--program", name).stdout

    def test_a_default_of_a_private_input_is_not_shown(self, run: Any) -> None:
        """It may be a secret."""
        out = json.loads(run("inspect", "--program", OWN, "--json").stdout)
        (seed,) = [line for line in out["inputs"] if line["name"] == "seed"]
        assert (seed["role"], seed["default"]) == ("private", "not shown")

    def test_bytes_come_as_text_as_hexadecimal_or_from_a_file(self, tmp_path: Path) -> None:
        """Whatever is in the file."""
        (tmp_path / "message").write_bytes(bytes(range(256)))
        for word, expected in (
            ("hello", b"hello"),
            ("100", b"100"),
            ("hex:00ff", b"\x00\xff"),
            (r"b'\x00'", b"\x00"),
            (f"message=@{tmp_path}/message", bytes(range(256))),
        ):
            assert build(Sha256, [word]) == Sha256(expected)

    def test_other_values_come_from_files_too(self, tmp_path: Path) -> None:
        """So that a secret is not on the command line."""
        (tmp_path / "n").write_text("20\n")
        assert build(Fibonacci, [f"n=@{tmp_path}/n"]) == Fibonacci(20)

    @pytest.mark.parametrize(
        ("word", "expected"),
        [("hex:0", "pairs of hexadecimal digits"), ("hex:zz", "pairs of hexadecimal digits"), ("@nothing", "nothing")],
    )
    def test_wrong_bytes_are_named(self, run: Any, word: str, expected: str) -> None:
        """With what is allowed."""
        code = 3 if word.startswith("@") else 2
        assert expected in run("explain", "sha256", word, code=code).stderr

    @pytest.mark.parametrize("word", ["(" * 100_000, "9" * 10_000, "n=" + "-" * 50_000 + "1"])
    def test_a_monstrous_value_is_an_error_like_any_other(self, run: Any, word: str) -> None:
        """Soon, and in few words."""
        begun = time.monotonic()
        stderr = run("explain", "fibonacci", word, code=2).stderr
        assert time.monotonic() - begun < 5
        assert "n = " in stderr
        assert len(stderr) < 400

    def test_a_module_that_fails_is_named(self, run: Any) -> None:
        """Whatever it raises when it is imported."""
        Path("broken_module.py").write_text("1 / 0")
        stderr = run("explain", "broken_module:X", code=2).stderr
        assert "cannot import 'broken_module:X': ZeroDivisionError" in stderr
        sys.modules.pop("broken_module", None)


class TestCheck:
    def test_a_program_that_holds_exits_with_0(self, run: Any) -> None:
        """And says what was looked at."""
        assert "every constraint holds" in run("check", "fibonacci", "20").stdout
        out = json.loads(run("check", OWN, "20", "--underconstrained", "--json").stdout)
        assert out == {
            "holds": True,
            "program": find(OWN).id,
            "rows": 32,
            "columns": 1,
            "constraints": out["constraints"],
            "free": [],
        }

    def test_a_broken_constraint_exits_with_1_and_is_named(self, run: Any) -> None:
        """With its row and the two values."""
        result = run("check", "tests.test_verify:Liar", "8", code=1)
        assert result.stderr.startswith("error: ")
        error = json.loads(run("check", "tests.test_verify:Liar", "8", "--json", code=1).stdout)["error"]
        assert error["type"] == "ConstraintError"
        assert error["constraint"]
        assert len(error["values"]) == 2
        assert error["row"] >= 0

    def test_what_a_user_s_code_raises_is_said_in_a_line(self, run: Any) -> None:
        """As the program's own fault."""
        Path("fails_to_trace.py").write_text(FAILING)
        stderr = run("check", "fails_to_trace:Fails", "3", code=2).stderr
        assert "fails_to_trace:Fails raised KeyError: 'lost'" in stderr
        sys.modules.pop("fails_to_trace", None)

    def test_cells_that_nothing_constrains_are_found(self, run: Any) -> None:
        """With the option that asks for them."""
        Path("too_free.py").write_text(FREE)
        run("check", "too_free:Free", "3")
        result = run("check", "too_free:Free", "3", "--underconstrained", code=1)
        assert "column 'idle' is free" in result.stdout
        sys.modules.pop("too_free", None)


FAILING = """
import aprover
class Fails(aprover.Program):
    n: int
    @classmethod
    def air(cls, b, params):
        b.rows(8)
        x = b.column("x")
        b.assert_zero(x.next - x, name="same")
    def trace(self, out):
        raise KeyError("lost")
"""

FREE = """
import aprover
class Free(aprover.Program):
    n: int
    @classmethod
    def air(cls, b, params):
        b.rows(8)
        x, idle = b.column("x"), b.column("idle")
        b.assert_zero(x, name="nothing")
        b.assert_zero(x * idle, name="hardly")
    def trace(self, out):
        pass
"""


class TestExplain:
    def test_it_shows_constraints_and_what_a_proof_will_be_like(self, run: Any) -> None:
        """Without making one."""
        text = run("explain", "fibonacci", str(2**22)).stdout
        assert "shift: x.next == y" in text
        assert "proven bits" in text
        out = json.loads(run("explain", "fibonacci", "100", "--prefer", "size", "--json").stdout)
        assert out["air"]["program"] == "fibonacci"
        assert out["air"]["parameters"] == {"n": 100}
        assert out["proof_bytes"] > 0

    def test_bits_out_of_range_are_a_wrong_option(self, run: Any) -> None:
        """With what is allowed."""
        assert "allowed: an int from 1 to 128" in run("explain", "fibonacci", "9", "--security", "0", code=2).stderr


class TestBench:
    def test_it_measures_each_size_and_the_engine(self, run: Any) -> None:
        """In JSON; every time is positive, and proofs have the bits that were asked for."""
        words = ("bench", "--smallest", "4", "--largest", "6", "-s", "0", "--security", "80")
        out = json.loads(run(*words, "--json").stdout)
        assert [size["rows"] for size in out["sizes"]] == [16, 32, 64]
        assert all(min(size["prove"], size["verify"]) > 0 for size in out["sizes"])
        assert all(size["proven_bits"] >= 80 for size in out["sizes"])
        assert [line["name"] for line in out["engine"]] == ["a hit", "identical, at once", "distinct, at once"]
        assert all(line["seconds"] > 0 for line in out["engine"])

    def test_sizes_in_the_wrong_order_are_named(self, run: Any) -> None:
        """With what is allowed."""
        assert "allowed: 3 to --largest, 5" in run("bench", "--smallest", "9", "--largest", "5", code=2).stderr


class TestHelp:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_every_command_has_help_with_its_exit_codes(self, run: Any, command: str) -> None:
        """And -h will do."""
        text = run(command, "-h").stdout
        assert "Exit codes" in text

    def test_every_command_is_listed(self, run: Any) -> None:
        """By --help."""
        text = run("--help").stdout
        for command in COMMANDS:
            assert command in text
        for code in (report.REJECTED, report.USAGE, report.FILE, report.FAILED, report.FAULT, report.INTERRUPTED):
            assert str(code) in report.EXIT_CODES


class TestCompletion:
    def complete(self, line: str) -> list[str]:
        """What bash would be told."""
        words = line.split(" ")
        environment = {
            **os.environ,
            "_APROVER_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        }
        call = "import sys; sys.argv[0] = 'aprover'; from aprover.cli import app; app(prog_name='aprover')"
        done = subprocess.run(
            [sys.executable, "-c", call], env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        return done.stdout.split()

    def test_programs_and_their_inputs_are_completed(self) -> None:
        """By the shell, through the application."""
        assert self.complete("aprover prove fib") == ["fibonacci", "fibonacci-u64"]
        assert self.complete("aprover prove fibonacci n=20 ") == ["a=", "b="]

    def test_programs_are_completed_by_their_beginning(self) -> None:
        """Shipped ones: no code of a user is imported for it."""
        assert complete_program("") == sorted(SHIPPED)
        assert complete_program("sha") == ["sha256"]


class TestErrors:
    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["stress", "--concurrency", "0"], "--concurrency"),
            (["prove", "fibonacci", "1", "-o", "x", "--prefer", "speed"], "--prefer"),
            (["verify"], "FILE"),
            (["prove", "fibonacci", "1", "--nonsense", "-o", "x"], "--nonsense"),
            (["nonsense"], "nonsense"),
        ],
    )
    def test_a_wrong_option_is_named_in_text_and_in_json(self, run: Any, words: list[str], expected: str) -> None:
        """Exit 2, with the option, what came and what is allowed."""
        assert expected in run(*words, code=2).stderr
        error = json.loads(run(*words, "--json", code=2).stdout)["error"]
        assert expected in error["message"]

    def test_a_fault_of_aprover_itself_is_a_line_too(self, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """No traceback, unless the environment asks for it."""

        def broken(*_: object, **__: object) -> None:
            raise AssertionError("should not be")

        monkeypatch.setattr(aprover, "verify", broken)
        Path("x").write_bytes(aprover.prove_sync(Fibonacci(20)).to_bytes())
        result = run("verify", "x", code=5)
        assert "a fault of aprover itself: AssertionError: should not be" in result.stderr
        monkeypatch.setenv(report.DEBUG, "1")
        result = CliRunner().invoke(app, ["verify", "x"])
        assert "Traceback" in result.stderr

    @pytest.mark.parametrize("command", ["verify", "inspect"])
    def test_a_file_that_is_too_long_is_not_read(self, run: Any, command: str) -> None:
        """Such as an endless device."""
        begun = time.monotonic()
        assert f"has more than {LONGEST_PROOF} bytes" in run(command, "/dev/zero", code=3).stderr
        assert time.monotonic() - begun < 5

    def test_a_file_of_just_that_length_is(self, tmp_path: Path) -> None:
        """The limit is inclusive."""
        (tmp_path / "x").write_bytes(bytes(10))
        assert read_bounded(tmp_path / "x", limit=10) == bytes(10)
        with pytest.raises(OSError, match="more than 9 bytes"):
            read_bounded(tmp_path / "x", limit=9)

    def test_what_a_terminal_would_obey_is_not_printed(self, run: Any) -> None:
        """Of names that came from outside."""
        for words, code in ((["verify", "\x1b[31mfile"], 3), (["explain", "\x1b[31mprogram"], 2)):
            result = run(*words, code=code)
            assert "[31m" in result.stderr
            assert "\x1b" not in result.stderr

    @pytest.mark.usefixtures("run")
    def test_a_proof_with_a_bit_flipped_is_never_a_traceback(self) -> None:
        """Wherever it is, and whatever inspect and verify make of it."""
        data = aprover.prove_sync(Fibonacci(20)).to_bytes()
        runner = CliRunner()
        for position in range(0, 120, 3):
            changed = bytearray(data)
            changed[position] ^= 1 << (position % 8)
            Path("x").write_bytes(changed)
            for command in ("verify", "inspect"):
                result = runner.invoke(app, [command, "x"])
                assert result.exit_code in (0, 1), (command, position, result.output)
                assert "Traceback" not in result.output

    def test_output_that_nobody_reads_is_no_error(self) -> None:
        """As in ``aprover explain ... | head -1``."""
        command = f"{sys.executable} -m aprover explain sha256 hello 2>&1 | head -1"
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout == "sha256(length=5)\n"
        assert done.stderr == ""
