from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def run(*words: str) -> str:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True, cwd=ROOT).stdout


class TestReadme:
    def test_the_first_lines_run(self) -> None:
        """As the body of an async function."""
        body = "".join(f"    {line}\n" for line in BLOCKS[0].splitlines())
        run("-c", f"import aprover, trio\nasync def main():\n{body}trio.run(main)")

    def test_the_example_runs_and_is_short(self) -> None:
        """Under 25 lines of code, and it prints the statement that it proved: t(20) = 3 * 35890."""
        example = next(block for block in BLOCKS if "class Tribonacci" in block)
        assert len([line for line in example.splitlines() if line.strip()]) < 25
        assert "public_outputs=(107670,)" in run("-c", example)

    def test_it_fits_a_screen(self) -> None:
        """One page, no line too long for it."""
        lines = README.splitlines()
        assert len(lines) <= 84
        assert max(map(len, lines)) <= 120
