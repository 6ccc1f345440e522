"""Several listeners where an engine takes one: a log, spans and metrics at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import structlog

__all__ = ["Listener", "fan_out"]

Listener = Callable[[str, Mapping[str, object]], object]
"""Called with the name and the fields of each event, on whatever thread it happens, so it must not block."""

_WARNINGS = frozenset({"prove.rejected", "prove.failed"})


def fan_out(*listeners: Listener | structlog.typing.BindableLogger) -> Listener:
    """One listener that passes each event on to all of `listeners`, in their order, for ``open_engine(trace=...)``.

    Args:
        listeners: Functions of a name and a mapping, or structlog loggers, which get ``prove.rejected`` and
            ``prove.failed`` as warnings and all else at debug.

    Raises:
        TypeError: One of them is neither.
        ExceptionGroup: From the listener that is returned, after all have been called: what they raised. The engine
            goes on, and shows the first one through `threading.excepthook`.
    """
    calls = [_called(listener) for listener in listeners]

    def listen(name: str, fields: Mapping[str, object]) -> None:
        errors = []
        for call in calls:
            try:
                call(name, fields)
            except Exception as error:  # noqa: BLE001 - the others are to hear of it all the same
                errors.append(error)
        if errors:
            raise ExceptionGroup(f"listeners failed at {name}", errors)

    return listen


def _called(listener: Listener | structlog.typing.BindableLogger) -> Listener:
    if hasattr(listener, "bind"):
        logger: Any = listener

        def log(name: str, fields: Mapping[str, object]) -> None:
            bound = logger.bind(**fields)
            (bound.warning if name in _WARNINGS else bound.debug)(name)

        return log
    if callable(listener):
        return listener
    raise TypeError(f"a listener must be a function or a structlog logger, not {type(listener).__name__}")
