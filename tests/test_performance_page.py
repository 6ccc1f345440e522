"""The performance page and the README say what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.report import BLOCK, BLOCKS, DOCUMENTS, NOT_MEASURED, fill, seconds


class TestPage:
    @pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
    def test_the_tables_are_those_of_the_last_runs(self, document: Path) -> None:
        """Numbers and figures cannot disagree: `make bench-report` changes nothing."""
        assert fill(document.read_text()) == document.read_text()

    def test_every_table_has_its_place(self) -> None:
        """No block is left out of the pages, and none appears twice."""
        text = "".join(document.read_text() for document in DOCUMENTS)
        assert sorted(found["name"] for found in BLOCK.finditer(text)) == sorted(BLOCKS)

    def test_without_figures_the_readme_promises_nothing(self, tmp_path: Path) -> None:
        """Each line of its table says that it was not measured; with figures, what they are."""
        lines = BLOCKS["face"](tmp_path).splitlines()[2:]
        assert all(NOT_MEASURED in line for line in lines)
        (tmp_path / "engine.jsonl").write_text(json.dumps({"name": "hit, trio", "value": 3.25}))
        assert "| 3.25 µs | `make bench` |" in BLOCKS["face"](tmp_path)

    def test_the_price_of_zero_knowledge_is_the_ratio(self, tmp_path: Path) -> None:
        """Of the time of the masked proof to that of the plain one next to it."""
        plain = {
            "rows": [8, 32],
            "columns": [2, 3],
            "prove": 2e-3,
            "verify": 1e-4,
            "bytes": 1024,
            "mib": 0,
            "waited": 0,
        }
        case = plain | {"zk": plain | {"prove": 5e-3, "bytes": 2048}}
        (tmp_path / "programs.json").write_text(json.dumps({"cases": {"Some": case}}))
        assert "| Some | 2^3 x 2<br>2^5 x 3 | 2.00 ms | 100 µs | 1.0 KiB | 0 MiB | 2.5 | 2.0 KiB |" in BLOCKS[
            "programs"
        ](tmp_path)
        assert "2.5 to 2.5 times as long" in BLOCKS["face"](tmp_path)

    def test_a_statement_of_an_aggregate_stands_beside_one_alone(self, tmp_path: Path) -> None:
        """In the page, and the usual one in the README."""
        case = {
            "c": 2e-6,
            "all": 3e-6,
            "engine": 4e-6,
            "alone": 3e-5,
            "bytes": 2**16,
            "alone_bytes": 2**18,
            "verify": 2e-4,
        }
        (tmp_path / "aggregates.json").write_text(json.dumps({"cases": {"256 Fibonacci(20)": {"time": case}}}))
        row = "| 256 Fibonacci(20), time | 2.00 µs | 3.00 µs | 4.00 µs | 30.0 µs | 64.0 KiB | 256.0 KiB | 200 µs |"
        assert row in BLOCKS["aggregates"](tmp_path)
        assert "3.00 µs a statement; 64.0 KiB, verified in 200 µs" in BLOCKS["face"](tmp_path)

    @pytest.mark.parametrize(
        ("usual", "most", "verdict"),
        [(0.16384, 0.08192, 'met with `prefer="fastest"`'), (0.1, 0.08, "met as usual too"), (0.2, 0.11, "missed")],
    )
    def test_wide_traces_are_told_in_permutations_a_second(
        self, tmp_path: Path, usual: float, most: float, verdict: str
    ) -> None:
        """Rows over seconds, with the usual parameters and without the limit of size, in both documents."""
        chosen: dict[str, Any] = {"blowup": 2, "queries": 168, "grinding_bits": 18, "bytes": 2**18, "prove": most}
        case = chosen | {"rows": 2**14, "columns": 298, "prove": usual, "prove_together": usual, "verify": 1e-3}
        case |= {"mib": 1, "bits": 100, "waited": 0, "fastest": chosen}
        figures = {"growth": None, "cases": {"Poseidon2Chain(2^14)": case}}
        (tmp_path / "speed.json").write_text(json.dumps(figures))
        rates = f"{2**14 / usual:,.0f} permutations a second", f'{2**14 / most:,.0f} with `prefer="fastest"`'
        page = BLOCKS["sweep"](tmp_path)
        assert f"{rates[0]} as usual, {rates[1]} (blowup 2, 168 queries, 18 bits of grinding, 256.0 KiB)" in page
        assert f"The target of 150,000 is {verdict}." in page
        assert ", ".join(rates) in BLOCKS["face"](tmp_path)

    def test_a_block_that_was_edited_by_hand_is_made_anew(self, tmp_path: Path) -> None:
        """What stands in a block never matters; without figures it says so."""
        page = "before\n<!-- sweep -->\n| 1 ns |\n<!-- end -->\nafter\n"
        assert fill(page, tmp_path) == f"before\n<!-- sweep -->\n{NOT_MEASURED}\n<!-- end -->\nafter\n"

    def test_what_a_limit_of_size_costs_is_shown_where_it_costs_anything(self, tmp_path: Path) -> None:
        """A ratio to the arm without the limit stands beside that to the default one."""
        own = {"peer": "aprover", "role": "ours", "log_rows": 16, "prove": 10.0, "prove_ratio": 1.0}
        other = own | {"peer": "Other", "role": "usual", "prove_ratio": 8.0}
        figures = {"versions": {"Other": "1.0"}, "rows": [own, own | {"role": "fastest", "prove_ratio": 0.5}, other]}
        (tmp_path / "peers.json").write_text(json.dumps(figures))
        assert "| 2^16 | 10.0 µs | 8.0 | **8.0** | 16.0 |" in BLOCKS["usual"](tmp_path)
        figures["rows"] = [own, other]
        (tmp_path / "peers.json").write_text(json.dumps(figures))
        assert "| 2^16 | 10.0 µs | 8.0 | **8.0** |\n" in BLOCKS["usual"](tmp_path)

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
