"""For mkdocstrings: the docstrings' few words of reStructuredText, as Markdown."""

from __future__ import annotations

import re
from typing import Any

import griffe

LITERAL_BLOCK = re.compile(r"::\n(?=\n )")


class Docstrings(griffe.Extension):
    """``::`` before an indented block becomes a colon: Markdown needs no sign for a block of code."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = LITERAL_BLOCK.sub(":\n", obj.docstring.value)
