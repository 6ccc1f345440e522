"""The code blocks of a page of the documentation, and how each is run.

- ``python``: part of a session. The blocks of a page run one after the other in one process. A ``text`` block that
  follows is what the block prints.
- ``python title="app.py"``: a file, written where the commands of the page run. Written again, it replaces the first.
- ``console``: commands after ``$``, and what they print. One that ends with ``&`` stays until the end of the page,
  and listens on the port 8000.
- A comment before a block, ``<!-- not run: why -->``, excepts it; ``<!-- figures vary -->`` before an output says that
  its numbers are not compared, and ``<!-- figures and order vary -->`` that its lines may come in another order.

In an output, a line ``...`` stands for any lines.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import attrs

FENCE = re.compile(
    r"^(?:<!-- (?P<note>[^\n]*?) -->\n+)?(?P<indent> *)```(?P<language>\w+)(?P<rest>[^\n]*)\n"
    r"(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
TITLE = re.compile(r'title="([^"]+)"')
NUMBER = re.compile(r"\d+(?:[.,]\d+)*(?:e-?\d+)?")
SECONDS = 60

SESSION = """
import contextlib, io, json, sys
namespace, printed = {"__name__": "__main__"}, []
for line, code in json.load(sys.stdin):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile("\\n" * line + code, sys.argv[1], "exec"), namespace)
    printed.append(out.getvalue())
print(json.dumps(printed))
"""


@attrs.frozen
class Block:
    """One fenced block."""

    language: str
    title: str | None
    text: str
    note: str
    line: int
    """The line of the fence, from 1."""

    @property
    def is_excepted(self) -> bool:
        return self.note.startswith("not run: ")


def blocks_of(page: str) -> list[Block]:
    """All fenced blocks of a page."""
    found = []
    for match in FENCE.finditer(page):
        title = TITLE.search(match["rest"])
        indent = match["indent"]
        text = "".join(line.removeprefix(indent) for line in match["text"].splitlines(keepends=True))
        line = page.count("\n", 0, match.start("language")) + 1
        found.append(Block(match["language"], title and title[1], text, match["note"] or "", line))
    return found


def differences(expected: str, printed: str, note: str = "") -> str:
    """Why `printed` is not what a page shows; nothing if it is."""
    wanted, got = expected.rstrip().splitlines(), printed.rstrip().splitlines()
    if note.startswith("figures"):
        wanted, got = [[" ".join(NUMBER.sub("0", line).split()) for line in lines] for lines in (wanted, got)]
    if note.startswith("figures and order"):
        wanted, got = sorted(wanted), sorted(got)
    pattern = "".join(r"(?:.*\n)*?" if line.strip() == "..." else re.escape(line.rstrip()) + " *\n" for line in wanted)
    if re.fullmatch(pattern, "".join(f"{line}\n" for line in got)):
        return ""
    return f"the page shows\n{expected}\nbut it is\n{printed}"


def run_session(page: Path, blocks: list[Block]) -> None:
    """Runs the blocks of a page's session, and compares what they print."""
    code = [block for block in blocks if block.language == "python" and block.title is None and not block.is_excepted]
    if not code:
        return
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SESSION, str(page)],
        input=json.dumps([(block.line, block.text) for block in code]),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    if done.returncode or done.stderr:
        raise AssertionError(done.stderr)
    printed = dict(zip(code, json.loads(done.stdout), strict=True))
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if block in printed:
            shown = following if following is not None and following.language == "text" else None
            why = differences(shown.text if shown else "", printed[block], shown.note if shown else "")
            if why:
                raise AssertionError(f"{page}:{block.line}: {why}")


class Shell:
    """Runs the commands of one page in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = str(probe.getsockname()[1])  # for 8000, which may be somebody else's
        self._staying: list[subprocess.Popen[str]] = []
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = {**os.environ, "PATH": path, "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}

    def write(self, name: str, text: str) -> None:
        """A file in the folder."""
        (self._folder / name).write_text(text.replace("8000", self._port))

    def run(self, command: str) -> str:
        """What it prints, standard error included."""
        command = command.replace("8000", self._port)
        if command.endswith("&"):
            words = shlex.split(command.removesuffix("&"))
            self._staying.append(
                subprocess.Popen(words, cwd=self._folder, env=self._environment, stderr=subprocess.PIPE, text=True)
            )
            return ""
        if self._staying:
            self._wait_for_port()
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        return done.stdout.replace(self._port, "8000")

    def _wait_for_port(self) -> None:
        until = time.monotonic() + SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", int(self._port))).close()
                return
            except ConnectionRefusedError:
                if time.monotonic() > until or any(process.poll() is not None for process in self._staying):
                    raise

    def end(self) -> None:
        """Ends what stays, which must go without a word."""
        for process in self._staying:
            process.terminate()
            _, said = process.communicate(timeout=SECONDS)
            if said:
                raise AssertionError(said)

    def kill(self) -> None:
        """Whatever has happened, nothing stays."""
        for process in self._staying:
            process.kill()
            process.communicate()


def run_files_and_commands(page: Path, blocks: list[Block], folder: Path) -> None:
    """Writes the files of a page and runs its commands, in their order, and compares what they print."""
    shell = Shell(folder)
    try:
        for block in blocks:
            if block.is_excepted:
                continue
            if block.title is not None:
                shell.write(block.title, block.text)
            elif block.language == "console":
                for command, expected in commands_of(block.text):
                    why = differences(expected, shell.run(command), block.note)
                    if why:
                        raise AssertionError(f"{page}:{block.line}: $ {command}\n{why}")
        shell.end()
    finally:
        shell.kill()


def commands_of(text: str) -> Iterator[tuple[str, str]]:
    """Each command of a console, and what it prints."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output
