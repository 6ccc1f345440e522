"""KeyboardInterrupt on a plain main thread: held back while the deciding core is told something, raised right after.

Python raises it between any two bytecodes of the main thread, so also halfway through a change under the core's lock.
Trio and asyncio have ways of their own against that; a plain thread gets this one. Only Python's own handler is
replaced, and only for the length of a call; who has set another one answers for what it raises.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["held_back", "installed"]


class _HeldBack:
    """See `held_back`. One, for there is one main thread."""

    __slots__ = ("came", "depth")

    def __init__(self) -> None:
        self.depth = 0
        self.came = False

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, *exc: object) -> None:
        self.depth -= 1
        if self.came and not self.depth:
            self.came = False
            raise KeyboardInterrupt


_main = _HeldBack()
_others = contextlib.nullcontext()


def held_back() -> contextlib.AbstractContextManager[None]:
    """No interrupt inside; one that comes is raised at the end. May be nested. Does nothing outside `installed`."""
    return _main if threading.current_thread() is threading.main_thread() else _others


def _handle(number: int, frame: FrameType | None) -> None:
    if _main.depth:
        _main.came = True
    else:
        signal.default_int_handler(number, frame)


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Makes `held_back` effective, if this is the main thread and nobody else handles interrupts."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return
    signal.signal(signal.SIGINT, _handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
