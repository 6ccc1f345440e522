"""The page that teaches how to write programs: its code runs as it stands, and says what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from aprover.air.check import check
from aprover.errors import ConstraintError

PAGE = (Path(__file__).parent.parent / "docs" / "writing-programs.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the page defines."""
    found: dict[str, Any] = {"__name__": "writing_programs"}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(block, "docs/writing-programs.md", "exec"), found)
    return found


def test_every_program_is_right(names: dict[str, Any]) -> None:
    """Each block runs; the results are those that the page gives."""
    assert names["program"].public_outputs() == (1499,)
    assert names["Checksum"](b"\x12\x34").public_outputs() == (6, 2)
    assert names["Countdown"](100).compiled().height == 128


def test_a_wrong_price(names: dict[str, Any]) -> None:
    """The message that the page shows."""

    basket: Any = names["Basket"]

    class Wrong(basket):  # type: ignore[misc]
        def trace(self, out: Any) -> None:
            super().trace(out)
            out["main"][1, 2] = 998

    with pytest.raises(ConstraintError) as caught:
        check(Wrong(prices=(250, 30, 999), basket=((0, 2), (2, 1))))
    message = "lookup 'the price of the item' fails at row 1: (2, 998) is not in 'priced'"
    assert message in str(caught.value)
    assert f"    {message}\n" in PAGE


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(64))])
def test_checksums(names: dict[str, Any], data: bytes) -> None:
    """Of no bytes, one, and as many as there is room for."""
    check(names["Checksum"](data))
