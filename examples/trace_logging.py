"""What happens to a request: structured log events, silent until structlog is configured, and a timeline in a file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import structlog
import trio
from structlog.contextvars import bind_contextvars, merge_contextvars

import aprover


async def serve(user: str, program: aprover.Program) -> None:
    """One user's request. What is bound here is in its events, also if it joins the proof of another user."""
    bind_contextvars(user=user)
    await aprover.prove(program)


async def main() -> None:
    program = aprover.Fibonacci(20_000)
    await aprover.prove(aprover.Fibonacci(20))  # nobody has asked: nothing is printed

    structlog.configure(processors=[merge_contextvars, structlog.dev.ConsoleRenderer(colors=False)])
    with aprover.capture_timeline() as timeline:
        async with aprover.open_engine():  # once it is left, its workers have said all that they had to say
            async with trio.open_nursery() as nursery:
                for user in ("ada", "emmy"):
                    nursery.start_soon(serve, user, program)
            await serve("sofia", program)

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.jsonl"
        timeline.write(file)
        print(f"\n{len(timeline)} events; the file begins:")
        for line in file.read_text().splitlines()[:3]:
            print(line)


if __name__ == "__main__":
    trio.run(main)
