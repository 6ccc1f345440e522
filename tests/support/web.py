"""A web example in a process of its own, on a free port of loopback, and requests to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs

EXAMPLES = Path(__file__).parents[2] / "examples"
START = (
    "import sys; sys.path.insert(0, sys.argv[2]); import {name} as web; "
    "web.PATIENCE = {patience}; web.main(int(sys.argv[1]))"
)
SECONDS = 60.0


@attrs.frozen
class Answer:
    """What a server said."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[tuple[str, Any]]:
        """The names and data of server-sent events."""
        found = []
        for block in self.body.decode().split("\n\n")[:-1]:
            name, data = block.split("\n")
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
        return found


class Server:
    """A running example."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.port = process, port

    def ask(self, path: str, body: bytes | None = None) -> Answer:
        """One request on a connection of its own: a POST if it has a body."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)) as connection:
            connection.request("GET" if body is None else "POST", path, body)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def statistics(self) -> dict[str, int]:
        """As the engine's."""
        found: dict[str, int] = self.ask("/statistics").json
        return found

    def wait_until(self, holds: Callable[[dict[str, int]], bool]) -> dict[str, int]:
        """Asks for the statistics until something holds of them."""
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            statistics = self.statistics()
            if holds(statistics):
                return statistics
        raise AssertionError(f"it has not come to that: {statistics}")

    def terminate(self) -> None:
        """SIGTERM; returns at once."""
        self.process.send_signal(signal.SIGTERM)

    def require_quiet_end(self) -> None:
        """Waits until it has ended by itself, as it was told, without a word."""
        output, _ = self.process.communicate(timeout=SECONDS)
        if self.process.returncode not in (0, -signal.SIGTERM) or output:
            raise AssertionError(f"it ended with {self.process.returncode} and said\n{output}")


@contextlib.contextmanager
def running(name: str, *, patience: float = 20) -> Iterator[Server]:
    """A server that answers. At the end it is asked to end, and must do so without a word."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    code = START.format(name=name, patience=patience)
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, str(port), str(EXAMPLES)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server = Server(process, port)
    try:
        _wait_until_it_answers(server)
        yield server
        if process.poll() is None:
            server.terminate()
            server.require_quiet_end()
    finally:
        process.kill()
        process.communicate()


def _wait_until_it_answers(server: Server) -> None:
    until = time.monotonic() + SECONDS
    while server.process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(ConnectionRefusedError):
            server.statistics()
            return
    raise AssertionError(f"the server does not answer: {server.process.communicate()[0]}")
