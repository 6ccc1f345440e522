"""A web example under load on loopback: ``make soak-web``, or ``python -m benchmarks.soak_web --help``.

An open loop: requests leave at their times, evenly spaced, whether or not earlier ones have been answered, so a server
that is slow cannot slow the load down; latencies count from the time at which a request should have left. Connections
are kept alive and taken in turn. Hits ask for one of a few proofs that are there, misses for one that nobody asked for
before.

The targets: every answer is a 200, 99 of 100 hits within 25 ms, and memory flat: the last third of the run needs at
most a tenth more than the third before it, when the cache is full. The exit code is 1 if one is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import random
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import attrs

EXAMPLES = Path(__file__).parent.parent / "examples"
HOST = "127.0.0.1"
HOT = range(1000, 1032)
"""The terms that are hit."""
COLD = 2048
"""The first of those that are missed; each is asked for once."""
HIT_TARGET = 25e-3
GROWTH_TARGET = 1.10


@attrs.define
class Measured:
    """What came of a run."""

    hits: list[float] = attrs.field(factory=list)
    misses: list[float] = attrs.field(factory=list)
    statuses: collections.Counter[str] = attrs.field(factory=collections.Counter)
    memory: list[int] = attrs.field(factory=list)
    """Bytes that the server kept in memory, twice a second."""
    late: float = 0.0
    """By how much this client was late at most; what it is late by is in the latencies."""


class Connection:
    """One connection that is kept alive. One request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self) -> None:
        self._streams = await asyncio.open_connection(HOST, self._port)

    async def get(self, path: str) -> str:
        """The status of the answer, read to its end."""
        if self._streams is None:
            await self.open()
        assert self._streams is not None
        reader, writer = self._streams
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        lines = head.decode().split("\r\n")
        length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
        await reader.readexactly(length)
        if "connection: close" in lines:
            await self.close()
        return lines[0].split()[1]

    async def close(self) -> None:
        """So that the next request opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def load(port: int, pid: int, *, connections: int, rate: float, seconds: float, hits: float) -> Measured:
    """Sends `rate` requests a second for `seconds`; the share `hits` of them hits."""
    measured = Measured()
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(connections):
        connection = Connection(port)
        await connection.open()
        free.put_nowait(connection)
    for n in HOT:
        await one(free, f"/prove/{n}", time.perf_counter(), [], measured)
    measured.statuses.clear()
    rng = random.Random(1)
    cold = iter(range(COLD, 2**20))
    async with asyncio.TaskGroup() as tasks:
        watch = tasks.create_task(watch_memory(pid, measured.memory))
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as requests:
            for i in range(int(rate * seconds)):
                due = begun + i / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                measured.late = max(measured.late, time.perf_counter() - due)
                hit = rng.random() < hits
                n = rng.choice(HOT) if hit else next(cold)
                kind = measured.hits if hit else measured.misses
                requests.create_task(one(free, f"/prove/{n}", due, kind, measured))
        watch.cancel()
    while not free.empty():
        await free.get_nowait().close()
    return measured


async def one(free: asyncio.Queue[Connection], path: str, due: float, latencies: list[float], into: Measured) -> None:
    """One request on the connection that has rested longest."""
    connection = await free.get()
    try:
        status = await connection.get(path)
    except (OSError, EOFError) as error:
        status = type(error).__name__
        await connection.close()
    latencies.append(time.perf_counter() - due)
    into.statuses[status] += 1
    free.put_nowait(connection)


async def watch_memory(pid: int, into: list[int]) -> None:
    """Keeps what a process has in memory, twice a second, until it is cancelled."""
    while True:
        into.append(resident(pid))
        await asyncio.sleep(0.5)


def resident(pid: int) -> int:
    """Bytes of memory that a process has, as Linux tells it."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def report(name: str, measured: Measured) -> bool:
    """Prints what came of it; whether the targets are met."""
    slowest = {kind: quantiles(times) for kind, times in (("hits", measured.hits), ("misses", measured.misses))}
    print(f"{name}: {sum(measured.statuses.values())} requests; answers: {dict(measured.statuses)}")
    for kind, (half, most, nearly_all, worst) in slowest.items():
        print(f"  {kind:6}  p50 {half:7.2f} ms   p90 {most:7.2f} ms   p99 {nearly_all:7.2f} ms   max {worst:7.2f} ms")
    third = len(measured.memory) // 3
    before = statistics.median(measured.memory[third : 2 * third])
    after = statistics.median(measured.memory[2 * third :])
    print(f"  memory  {before / 2**20:.0f} MiB, then {after / 2**20:.0f} MiB")
    print(f"  the client was late by {measured.late * 1e3:.1f} ms at most")
    met = {
        "every answer is a 200": set(measured.statuses) == {"200"},
        "p99 of hits under 25 ms": slowest["hits"][2] < HIT_TARGET * 1e3,
        "memory flat": after <= before * GROWTH_TARGET,
    }
    print("  " + ",  ".join(f"{target}: {'yes' if done else 'NO'}" for target, done in met.items()))
    return all(met.values())


def quantiles(seconds: list[float]) -> tuple[float, float, float, float]:
    """The median, the 90th and the 99th percentile and the maximum, in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return cuts[49] * 1e3, cuts[89] * 1e3, cuts[98] * 1e3, max(seconds) * 1e3


def soak(name: str, settings: argparse.Namespace) -> bool:
    """Runs one example in a process of its own, loads it, and ends it with SIGTERM."""
    with socket.create_server((HOST, 0)) as probe:
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, str(EXAMPLES / f"{name}.py"), str(port)])
    try:
        wait_for(port)
        measured = asyncio.run(
            load(
                port,
                server.pid,
                connections=settings.connections,
                rate=settings.rate,
                seconds=settings.seconds,
                hits=settings.hits,
            )
        )
        server.terminate()
        server.wait(60)
    finally:
        server.kill()
        server.wait()
    return report(name, measured)


def wait_for(port: int) -> None:
    """Until something listens there; gives up after half a minute."""
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection((HOST, port)).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("examples", nargs="*", default=["web_fastapi", "web_trio"], help="by default both")
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--rate", type=float, default=200, help="requests a second")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--hits", type=float, default=0.5, help="the share of hits, from 0 to 1")
    settings = parser.parse_args()
    missed = [name for name in settings.examples if not soak(name, settings)]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
