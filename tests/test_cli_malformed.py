"""What the command line says of input that is wrong in any way: a sentence and an exit code, never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import aprover
from aprover.cli import app
from aprover.cli.programs import SHIPPED
from aprover.cli.report import FILE, REJECTED, USAGE

LONGEST_ANSWER = 2000
"""Characters of an error, whatever came."""

HONEST = [
    proof.to_bytes()
    for proof in (
        aprover.prove_sync(aprover.Fibonacci(20)),
        aprover.prove_sync(aprover.RangeProof(5, 0, 9, (1, 2, 3, 4)), zk=True),
        aprover.prove_sync(aprover.Transfers((9,), (), (1, 2, 3, 4, 5, 6, 7))),
    )
]


def run(*words: str) -> tuple[int, str]:
    """Exit code, and all that was printed."""
    result = CliRunner().invoke(app, list(words))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@st.composite
def changed(draw: st.DrawFn) -> bytes:
    """An honest proof with a piece replaced by other bytes: less, more, or as many."""
    proof = draw(st.sampled_from(HONEST))
    # The first bytes say what all others are.
    begin = draw(st.integers(0, min(200, len(proof))) | st.integers(0, len(proof)))
    end = draw(st.integers(begin, min(begin + 8, len(proof))) | st.integers(begin, len(proof)))
    return proof[:begin] + draw(st.binary(max_size=16)) + proof[end:]


class TestProofs:
    @pytest.mark.parametrize(
        "words",
        [
            ("verify", "--min-security", "1"),
            ("verify", "--min-security", "1", "--reference"),
            ("verify", "--json"),
            ("inspect",),
        ],
        ids=" ".join,
    )
    @settings(max_examples=40, deadline=None)
    @given(data=st.binary(max_size=300) | changed())
    def test_any_bytes_are_rejected_or_shown(
        self, tmp_path_factory: pytest.TempPathFactory, words: tuple[str, ...], data: bytes
    ) -> None:
        """`verify` accepts the honest ones alone; `inspect` shows what can be read."""
        path = tmp_path_factory.getbasetemp() / f"malformed-{words[-1]}"
        path.write_bytes(data)
        code, output = run(words[0], str(path), *words[1:])
        if words[0] == "inspect":
            assert code in (0, REJECTED)
        else:
            assert code == (0 if data in HONEST else REJECTED), output
        assert "Traceback" not in output
        assert code == 0 or len(output) < LONGEST_ANSWER


class TestWords:
    @settings(deadline=None)
    @given(
        program=st.sampled_from(sorted(SHIPPED)) | st.text(max_size=12),
        values=st.lists(
            st.text(max_size=20)
            | st.integers().map(str)
            | st.tuples(st.sampled_from(["n", "a", "seed", "message", "low", "x"]), st.text(max_size=20)).map("=".join),
            max_size=4,
        ),
    )
    def test_any_words_are_explained_or_refused(self, program: str, values: list[str]) -> None:
        """The fault is never one of aprover itself, and no answer repeats long input."""
        code, output = run("explain", program, "--", *values)
        assert code in (0, USAGE, FILE), output
        assert "Traceback" not in output

    @pytest.mark.parametrize("text", ["(" * 100_000, "[" * 5000 + "]" * 5000, "9" * 5000, "1e400", "\0", "{[]}"])
    def test_a_value_that_is_hard_to_read_is_named_and_cut(self, text: str) -> None:
        """Field, value and what is allowed, in a line."""
        code, output = run("explain", "fibonacci", f"n={text}")
        assert code == USAGE
        assert output.startswith("error: n = ")
        assert "allowed: " in output
        assert len(output) < 300

    @pytest.mark.parametrize("name", ["aprover:Program", "os:path", "os:getcwd", "::", "nosuch:X", "aprover:", ":X"])
    def test_what_is_no_program_is_named(self, name: str) -> None:
        """Also the class that all programs are made of."""
        code, output = run("explain", name)
        assert code == USAGE
        assert name in output

    @pytest.mark.parametrize(
        "words",
        [
            lambda path: ("verify", path),
            lambda path: ("inspect", path),
            lambda path: ("timeline", path),
            lambda path: ("check", "sha256", f"message=@{path}"),
        ],
    )
    @pytest.mark.parametrize("path", [".", "/dev/zero", "nothing"])
    def test_a_file_that_is_none_or_has_no_end_is_refused(
        self, words: Callable[[str], tuple[str, ...]], path: str
    ) -> None:
        """Before it fills the memory."""
        if path == "/dev/zero" and not Path(path).exists():
            pytest.skip("needs /dev/zero")
        code, output = run(*words(path))
        assert code in (REJECTED, FILE)
        assert path in output
