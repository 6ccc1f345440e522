"""Rules about the source that neither ruff nor import-linter can see."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import aprover

PACKAGE = Path(aprover.__file__).parent


def importers_of_native() -> set[str]:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                names = {(node.module or "").rpartition(".")[2], *(alias.name for alias in node.names)}
            elif isinstance(node, ast.Import):
                names = {alias.name.rpartition(".")[2] for alias in node.names}
            else:
                continue
            if "_native" in names:
                found.add(path.relative_to(PACKAGE).as_posix())
    return found


class TestImports:
    def test_the_extension_is_reached_through_one_module_only(self) -> None:
        """Above all not by the reference verifier, which must share no code with what it checks."""
        assert importers_of_native() == {"loading.py"}

    def test_importing_aprover_stays_silent_and_starts_nothing(self) -> None:
        """No output, no threads, no logging set-up, and no event loop library but anyio."""
        script = (
            "import sys, threading, logging, aprover\n"
            "assert threading.active_count() == 1\n"
            "assert not logging.getLogger().handlers\n"
            "assert not {'trio', 'typer'} & set(sys.modules)\n"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_the_face_names_what_it_exports(self) -> None:
        """Everything in __all__ is there, once, in order."""
        assert [name for name in aprover.__all__ if not hasattr(aprover, name)] == []
        assert aprover.__all__ == sorted(set(aprover.__all__))
