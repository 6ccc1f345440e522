"""``python -m aprover.cli`` is the ``aprover`` command."""

from __future__ import annotations

from . import main

main()
