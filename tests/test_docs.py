"""The documentation: every block of code runs, and prints what the page says that it prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import aprover

from .support.doc_pages import blocks_of, commands_of, differences, run_files_and_commands, run_session

ROOT = Path(__file__).parent.parent
PACKAGE = Path(aprover.__file__).parent
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
CODE = re.compile(r"`([^`]+)`")
PAGES = sorted(
    path
    for path in (ROOT / "docs").rglob("*.md")
    # These have tests of their own, or no code.
    if path.name not in ("protocol.md", "architecture.md", "performance.md", "writing-programs.md")
)


class TestPages:
    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
    def test_every_block_runs_and_prints_what_the_page_shows(self, page: Path, tmp_path: Path) -> None:
        """Blocks without a title as one session, files and commands in a folder."""
        blocks = blocks_of(page.read_text())
        run_session(page, blocks)
        run_files_and_commands(page, blocks, tmp_path)

    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
    def test_no_block_goes_untested_but_with_a_reason(self, page: Path) -> None:
        """What is neither code, command nor the output of code says why it is not run."""
        blocks = blocks_of(page.read_text())
        for before, block in zip([None, *blocks], blocks, strict=False):
            is_output = block.language == "text" and before is not None and before.language == "python"
            assert block.is_excepted or block.title or block.language in ("python", "console") or is_output, block

    def test_there_are_pages(self) -> None:
        """And blocks on them."""
        assert len(PAGES) > 10
        assert sum(len(blocks_of(page.read_text())) for page in PAGES) > 30


class TestArchitecture:
    """The page that says what is where."""

    def test_every_part_of_the_package_is_in_its_table(self) -> None:
        """Each folder and module, but for the face and what everything may know."""
        parts = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
        parts |= {path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("_")}
        table = ARCHITECTURE.partition("## The parts\n")[2].partition("\n## ")[0]
        named = {
            name for row in table.splitlines() if row.startswith("| `") for name in CODE.findall(row.split("|")[1])
        }
        assert parts - named == {"errors.py"}

    def test_every_file_that_it_names_is_there(self) -> None:
        """Somewhere under the package, the C core or the root."""
        paths = [f"/aprover/{path.relative_to(PACKAGE).as_posix()}" for path in PACKAGE.rglob("*.py")]
        paths += [f"/csrc/{path.name}" for path in (ROOT / "csrc").iterdir()]
        paths += [f"/tests/{path.name}" for path in (ROOT / "tests").iterdir()]
        names = re.findall(r"[\w/]+\.(?:py|c|h)\b", ARCHITECTURE)
        assert len(names) > 20
        assert [name for name in names if not any(path.endswith(f"/{name}") for path in paths)] == []


class TestComparison:
    def test_a_fence_is_read_with_its_title_and_what_is_said_before_it(self) -> None:
        """Indented ones too."""
        page = '<!-- figures vary -->\n```text\n1\n```\n\n    ```python title="a.py"\n    if 1:\n        x\n    ```\n'
        first, second = blocks_of(page)
        assert (first.language, first.note, first.line, first.text) == ("text", "figures vary", 2, "1\n")
        assert (second.title, second.text, second.line) == ("a.py", "if 1:\n    x\n", 6)

    def test_another_output_is_a_difference(self) -> None:
        """Also one that is longer, or shorter."""
        assert differences("a\nb\n", "a\nb\n") == ""
        assert differences("a 1\n", "a 2\n")
        assert differences("a\n", "a\nb\n")
        assert differences("a\nb\n", "a\n")
        assert differences("", "a\n")

    def test_figures_may_vary_where_the_page_says_so(self) -> None:
        """Words may not."""
        assert differences("took 1.5 ms\n", "took 12 ms\n", "figures vary") == ""
        assert differences("took 1.5 ms\n", "took 12 s\n", "figures vary")
        assert differences("a 1\nb 1\n", "b 2\na 3\n", "figures and order vary") == ""
        assert differences("a 1\nb 1\n", "b 2\na 3\n", "figures vary")

    def test_three_dots_stand_for_any_lines(self) -> None:
        """Of which there may be none."""
        assert differences("a\n...\nd\n", "a\nb\nc\nd\n") == ""
        assert differences("a\n...\n", "a\n") == ""
        assert differences("a\n...\nd\n", "a\nb\n")

    def test_commands_are_told_from_what_they_print(self) -> None:
        """By the dollar at the beginning of a line."""
        assert list(commands_of("$ echo 1\n1\n$ true\n$ echo '$ x'\n$ x\n"))[:2] == [("echo 1", "1\n"), ("true", "")]
