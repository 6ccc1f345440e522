"""A web application on asyncio: FastAPI under uvicorn. Run it with ``python examples/web_fastapi.py 8000``.

GET  /prove/100?security=100     a proof of the 100th Fibonacci number, as bytes
GET  /prove/100/events           the same as server-sent events: progress, and then the proof in base64
POST /verify                     a proof as the body: what it proves, or why it proves nothing
GET  /statistics                 what the engine has done and is doing
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import json
import sys
from collections.abc import AsyncIterator
from typing import Annotated, Any

import attrs
import uvicorn
from fastapi import FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

import aprover

PATIENCE = 20
"""Seconds after which a request is refused. A shutdown waits for longer than that, so it cuts none off."""
LARGEST_PROOF = 2**20

Number = Annotated[int, Path(ge=1, le=2**20)]
Bits = Annotated[int, Query(ge=1, le=128)]


@contextlib.asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, aprover.Engine]]:
    # Requests do not run in the context of this task: they find the engine in their state.
    async with aprover.open_engine(cache_bytes=32 * 2**20, on_overload="raise") as engine:
        yield {"engine": engine}


app = FastAPI(lifespan=lifespan)


@app.get("/prove/{n}")
async def prove(request: Request, n: Number, security: Bits = 100) -> Response:
    async with asyncio.timeout(PATIENCE):
        proof = await request.state.engine.prove(aprover.Fibonacci(n), security=security)
    return Response(proof.to_bytes(), media_type="application/octet-stream")


@app.get("/prove/{n}/events")
async def prove_events(request: Request, n: Number, security: Bits = 100) -> Response:
    return ProofEvents(request.state.engine, n, security)


@app.post("/verify")
async def verify(request: Request) -> dict[str, Any]:
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
    return {
        "parameters": dict(statement.parameters),
        "inputs": statement.public_inputs,
        "outputs": statement.public_outputs,
    }


@app.get("/statistics")
async def statistics(request: Request) -> dict[str, Any]:
    return attrs.asdict(request.state.engine.statistics())


class ProofEvents(Response):
    """Proves while it answers. When the client leaves, the proof is cancelled; no task outlives the answer."""

    media_type = "text/event-stream"

    def __init__(self, engine: aprover.Engine, n: int, security: int) -> None:
        super().__init__(headers={"cache-control": "no-store", "content-type": self.media_type})
        del self.headers["content-length"]
        self.engine, self.n, self.security = engine, n, security
        self.events: asyncio.Queue[bytes] = asyncio.Queue()

    def put(self, event: str, **data: object) -> None:
        self.events.put_nowait(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode())

    async def work(self) -> None:
        def progress(phase: str, fraction: float) -> None:
            self.put("progress", phase=phase, fraction=fraction)

        try:
            async with asyncio.timeout(PATIENCE):
                proof = await self.engine.prove(aprover.Fibonacci(self.n), security=self.security, progress=progress)
            self.put("proof", base64=base64.b64encode(proof.to_bytes()).decode())
        except (aprover.AproverError, TimeoutError) as error:
            self.put("error", **refusal(error)[1])
        self.events.put_nowait(b"")

    async def answer(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        more = True
        while more:
            event = await self.events.get()
            more = bool(event)
            await send({"type": "http.response.body", "body": event, "more_body": more})

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        async with asyncio.TaskGroup() as tasks:
            work = tasks.create_task(self.work())
            answer = tasks.create_task(self.answer(send))
            leaving = tasks.create_task(until_disconnected(receive))
            await asyncio.wait((answer, leaving), return_when=asyncio.FIRST_COMPLETED)
            for task in (work, answer, leaving):
                task.cancel()


async def until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def refusal(error: Exception) -> tuple[int, dict[str, Any]]:
    """A status and what to say: which field, what came, what is allowed."""
    match error:
        case RequestValidationError():
            first = error.errors()[0]
            field, came = first["loc"][-1], repr(first["input"])[:60]
            return 422, {"field": field, "error": f"{field} = {came} is not allowed: {first['msg']}"}
        case aprover.ProgramError():
            return 422, {"field": error.field, "error": str(error)}
        case aprover.VerificationError():
            return 422, {"code": error.code, "error": str(error)}
        case TimeoutError():
            return 503, {"error": f"not done within {PATIENCE} seconds; try again later"}
        case aprover.EngineOverloaded() | aprover.EngineClosed():
            return 503, {"error": f"{error}; try again later"}
        case _:
            return 500, {"error": "proving failed"}


@app.exception_handler(RequestValidationError)
@app.exception_handler(aprover.AproverError)
@app.exception_handler(TimeoutError)
async def refuse(_request: Request, error: Exception) -> JSONResponse:
    status, content = refusal(error)
    return JSONResponse(content, status, headers={"retry-after": "1"} if status == 503 else None)


def main(port: int) -> None:
    gc.freeze()  # What was imported stays, so no full collection has to look at it while requests wait.
    uvicorn.run(app, port=port, log_level="warning", timeout_graceful_shutdown=PATIENCE + 5)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8000)
