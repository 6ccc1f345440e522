"""KeyboardInterrupt: held back while the deciding core is told something, raised right after.

Python raises it between any two bytecodes of the main thread, so also halfway through a change under the core's lock.
Trio has a way of its own against that, and so has asyncio, while an `asyncio.Runner` runs the loop. A loop that is run
by hand, and a thread without a loop, get this one. Only Python's own handler is replaced, and only for microseconds;
who has set another one answers for what it raises.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from types import FrameType

try:
    # Without the conversion to enums and back, which takes ten times as long as the rest.
    from _signal import getsignal as _get  # type: ignore[import-not-found]
    from _signal import signal as _set
except ImportError:  # another Python's
    _get, _set = signal.getsignal, signal.signal

__all__ = ["NOT_HELD", "held_back"]

_SIGINT = int(signal.SIGINT)
_raising = signal.default_int_handler


class _HeldBack:
    """See `held_back`. One, for there is one main thread."""

    __slots__ = ("_came", "_depth")

    def __init__(self) -> None:
        self._came = False
        self._depth = 0
        """0 outside, and where another's handler is in place."""

    def __enter__(self) -> None:
        if self._depth:
            self._depth += 1
        elif _get(_SIGINT) is _raising:
            _set(_SIGINT, self._note)  # one step, and nothing is raised from here on
            self._depth = 1

    def __exit__(self, *exc: object) -> None:
        if self._depth > 1:
            self._depth -= 1
        elif self._depth:
            self._depth = 0
            came, self._came = self._came, False
            _set(_SIGINT, _raising)
            if came or self._came:
                self._came = False
                raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the handler's
        self._came = True


_main = _HeldBack()
NOT_HELD: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
"""For where there is nothing to hold back."""


def held_back() -> contextlib.AbstractContextManager[None]:
    """No interrupt inside; one that comes is raised at the end. May be nested. Does nothing on other threads."""
    return _main if threading.current_thread() is threading.main_thread() else NOT_HELD
