"""The command line, ``aprover``: one module for each group of commands, all of one application."""

from __future__ import annotations

from . import benching, commands, inspecting, seeing, tuning
from .app import app

__all__ = ["app", "benching", "commands", "inspecting", "main", "seeing", "tuning"]


def main() -> None:
    """The entry point of the ``aprover`` command."""
    app()
