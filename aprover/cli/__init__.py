"""The command line: ``aprover prove | verify | inspect``."""

from __future__ import annotations

from .commands import app

__all__ = ["app", "main"]


def main() -> None:
    """The entry point of the ``aprover`` command."""
    app()
