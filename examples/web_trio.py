"""A web application on Trio: Starlette under Hypercorn. Run it with ``python examples/web_trio.py 8000``.

GET  /prove/100?security=100     a proof of the 100th Fibonacci number, as bytes
GET  /prove/100/events           the same as server-sent events: progress, and then the proof in base64
POST /verify                     a proof as the body: what it proves, or why it proves nothing
GET  /statistics                 what the engine has done and is doing
"""

from __future__ import annotations

import base64
import contextlib
import gc
import json
import math
import signal
import sys
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import attrs
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

import aprover

PATIENCE = 20
"""Seconds after which a request is refused. A shutdown waits for longer than that, so it cuts none off."""
LARGEST_PROOF = 2**20


@contextlib.asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, aprover.Engine]]:
    # Requests do not run in the context of this task: they find the engine in their state.
    async with aprover.open_engine(cache_bytes=32 * 2**20, on_overload="raise") as engine:
        yield {"engine": engine}


def asked(request: Request) -> tuple[aprover.Program, int]:
    """What is to be proved, with how many bits."""
    n = whole("n", request.path_params["n"], 2**20)
    return aprover.Fibonacci(n), whole("security", request.query_params.get("security", "100"), 128)


def whole(field: str, text: str, most: int) -> int:
    if text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most:
        return int(text)
    raise aprover.ProgramError(field=field, value=text, allowed=f"an integer from 1 to {most}")


async def prove(request: Request) -> Response:
    program, security = asked(request)
    with trio.fail_after(PATIENCE):
        proof = await request.state.engine.prove(program, security=security)
    return Response(proof.to_bytes(), media_type="application/octet-stream")


async def prove_events(request: Request) -> Response:
    return ProofEvents(request.state.engine, *asked(request))


async def verify(request: Request) -> Response:
    body = bytearray()
    async with contextlib.aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > LARGEST_PROOF:
                raise aprover.ProgramError(f"body: more than {LARGEST_PROOF} bytes; allowed: a proof", field="body")
    proof = aprover.Proof.from_bytes(body)
    if proof.backend != "stark":  # others are checked by doing the work again, which is not for a loop
        raise aprover.ProgramError(field="backend", value=proof.backend, allowed="stark")
    statement = aprover.verify(proof, program=aprover.Fibonacci)
    return JSONResponse(
        {
            "parameters": dict(statement.parameters),
            "inputs": statement.public_inputs,
            "outputs": statement.public_outputs,
        }
    )


async def statistics(request: Request) -> Response:
    return JSONResponse(attrs.asdict(request.state.engine.statistics()))


class ProofEvents(Response):
    """Proves while it answers. When the client leaves, the proof is cancelled; no task outlives the answer."""

    media_type = "text/event-stream"

    def __init__(self, engine: aprover.Engine, program: aprover.Program, security: int) -> None:
        super().__init__(headers={"cache-control": "no-store", "content-type": self.media_type})
        del self.headers["content-length"]
        self.engine, self.program, self.security = engine, program, security
        self.put_event, self.events = trio.open_memory_channel[bytes](math.inf)

    def put(self, event: str, **data: object) -> None:
        self.put_event.send_nowait(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode())

    async def work(self) -> None:
        def progress(phase: str, fraction: float) -> None:
            self.put("progress", phase=phase, fraction=fraction)

        with self.put_event:
            try:
                with trio.fail_after(PATIENCE):
                    proof = await self.engine.prove(self.program, security=self.security, progress=progress)
                self.put("proof", base64=base64.b64encode(proof.to_bytes()).decode())
            except (aprover.AproverError, trio.TooSlowError) as error:
                self.put("error", **refusal(error)[1])

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cancel_when_disconnected, receive, nursery.cancel_scope)
            nursery.start_soon(self.work)
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for event in self.events:
                await send({"type": "http.response.body", "body": event, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            nursery.cancel_scope.cancel()


async def cancel_when_disconnected(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def refusal(error: Exception) -> tuple[int, dict[str, Any]]:
    """A status and what to say: which field, what came, what is allowed."""
    match error:
        case aprover.ProgramError():
            return 422, {"field": error.field, "error": str(error)}
        case aprover.VerificationError():
            return 422, {"code": error.code, "error": str(error)}
        case trio.TooSlowError():
            return 503, {"error": f"not done within {PATIENCE} seconds; try again later"}
        case aprover.EngineOverloaded() | aprover.EngineClosed():
            return 503, {"error": f"{error}; try again later"}
        case _:
            return 500, {"error": "proving failed"}


async def refuse(_request: Request, error: Exception) -> Response:
    status, content = refusal(error)
    return JSONResponse(content, status, headers={"retry-after": "1"} if status == 503 else None)


app = Starlette(
    routes=[
        Route("/prove/{n}", prove),
        Route("/prove/{n}/events", prove_events),
        Route("/verify", verify, methods=["POST"]),
        Route("/statistics", statistics),
    ],
    exception_handlers={aprover.AproverError: refuse, trio.TooSlowError: refuse},
    lifespan=lifespan,
)


async def told_to_end() -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            return


def main(port: int) -> None:
    gc.freeze()  # What was imported stays, so no full collection has to look at it while requests wait.
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.graceful_timeout = PATIENCE + 5
    config.loglevel = "WARNING"
    trio.run(partial(serve, app, config, shutdown_trigger=told_to_end))  # type: ignore[arg-type] # any ASGI 3 application


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8000)
