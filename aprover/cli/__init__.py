"""The command line: ``aprover prove | verify | inspect | stress | calibrate``."""

from __future__ import annotations

from . import tuning
from .commands import app

__all__ = ["app", "main", "tuning"]


def main() -> None:
    """The entry point of the ``aprover`` command."""
    app()
