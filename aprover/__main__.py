"""``python -m aprover`` is the ``aprover`` command."""

from __future__ import annotations

from .cli import main

main()
