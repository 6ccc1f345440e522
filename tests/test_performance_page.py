"""The performance page says what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.report import BLOCK, BLOCKS, DOCUMENT, NOT_MEASURED, fill, seconds


class TestPage:
    def test_the_tables_are_those_of_the_last_runs(self) -> None:
        """Numbers and figures cannot disagree: `make bench-report` changes nothing."""
        assert fill(DOCUMENT.read_text()) == DOCUMENT.read_text()

    def test_every_table_has_its_place(self) -> None:
        """No block is left out of the page, and none appears twice."""
        assert sorted(found["name"] for found in BLOCK.finditer(DOCUMENT.read_text())) == sorted(BLOCKS)

    def test_a_block_that_was_edited_by_hand_is_made_anew(self, tmp_path: Path) -> None:
        """What stands in a block never matters; without figures it says so."""
        page = "before\n<!-- sweep -->\n| 1 ns |\n<!-- end -->\nafter\n"
        assert fill(page, tmp_path) == f"before\n<!-- sweep -->\n{NOT_MEASURED}\n<!-- end -->\nafter\n"

    def test_a_target_that_was_missed_is_called_missed(self, tmp_path: Path) -> None:
        """The verdict follows the figures."""

        def said(ratio: float) -> str:
            arm = {"peer": "Other", "role": "usual", "log_rows": 5, "prove_ratio": ratio, "waited": 0.0}
            figures = {"versions": {"Other": "1.0"}, "missing": {}, "rounds": 7, "rows": [arm]}
            (tmp_path / "peers.json").write_text(json.dumps(figures))
            return BLOCKS["summary"](tmp_path)

        assert "missed at 2^5 (9.9)" in said(9.9)
        assert "met at every size" in said(10.0)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.5, "1.50 s"), (0.0125, "12.5 ms"), (0.001, "1.00 ms"), (0.0009, "900 µs"), (18.75e-6, "18.8 µs")],
)
def test_a_time_has_three_digits(value: float, text: str) -> None:
    """In the unit that suits."""
    assert seconds(value) == text
