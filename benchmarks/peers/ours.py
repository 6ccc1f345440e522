"""This project behind the interface of the other programs: ``python -m benchmarks.peers.ours 10 [size | fastest]``.

The statement is theirs: two columns, from 1 and 1, the last row's second value public. A number of proofs on standard
input is answered by a line of JSON with nanoseconds of work, bytes and KiB. The time of a proof is that of
`prover.prove_prepared`: the C call, which makes the trace too, and the few microseconds of Python around it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import get_args

from aprover import Fibonacci, VerificationError, prover
from aprover.proof import shape_of
from aprover.security import Prefer, choose


def memory(name: str) -> int:
    """A line of ``/proc/self/status`` in KiB; 0 where there is no such file."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def serve(log_rows: int, prefer: Prefer) -> None:
    """Answers until standard input ends."""
    program = Fibonacci(1 << log_rows, a=1, b=1)
    air, statement = program.compiled(), program.statement()
    parameters = choose(shape_of(air), 100, prefer)
    publics, data = air.publics(statement), statement.to_bytes()
    wrong = (*publics[:-1], (publics[-1] + 1) % 2013265921)
    before, checked = memory("VmRSS:"), False
    for line in sys.stdin:
        prove, verify, body = [], [], b""
        for _ in range(int(line)):
            prepared = prover.prepare(program, parameters)
            begun = time.thread_time_ns()
            (result,) = prover.prove_prepared([prepared])
            prove.append(time.thread_time_ns() - begun)
            if isinstance(result, Exception):
                raise result
            body = result
        for _ in range(int(line)):
            begun = time.thread_time_ns()
            prover.verify(air, publics, data, body)
            verify.append(time.thread_time_ns() - begun)
        peak = max(0, memory("VmHWM:") - before)
        if not checked:
            try:
                prover.verify(air, wrong, data, body)
            except VerificationError:
                checked = True
            else:
                raise AssertionError("a wrong statement verifies")
        print(json.dumps({"prove": prove, "verify": verify, "bytes": len(body), "peak_kib": peak}), flush=True)


if __name__ == "__main__":
    serve(int(sys.argv[1]), next((prefer for prefer in get_args(Prefer) if sys.argv[2:] == [prefer]), "time"))
