"""Several listeners at one engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import structlog
from structlog.testing import CapturingLogger

import aprover
from aprover.telemetry.listeners import fan_out


class TestFanOut:
    async def test_all_hear_all_events_in_order(self) -> None:
        """As one would alone."""
        one: list[str] = []
        other: list[str] = []
        listener = fan_out(lambda name, _: one.append(name), lambda name, _: other.append(name))
        async with aprover.open_engine(trace=listener) as engine:
            await engine.prove(aprover.Fibonacci(20))
            await engine.prove(aprover.Fibonacci(20))
        assert one == other
        assert one[0] == "prove.submitted"
        assert one[-1] == "prove.hit"

    def test_a_logger_gets_the_fields_and_trouble_as_warnings(self) -> None:
        """With what is bound to it."""
        kept = CapturingLogger()
        logger = structlog.wrap_logger(kept, processors=[], wrapper_class=structlog.BoundLogger).bind(service="ledger")
        listen = fan_out(logger)
        listen("prove.hit", {"request": 1})
        listen("prove.failed", {"request": 2})
        assert [(call.method_name, call.kwargs) for call in kept.calls] == [
            ("debug", {"service": "ledger", "request": 1, "event": "prove.hit"}),
            ("warning", {"service": "ledger", "request": 2, "event": "prove.failed"}),
        ]

    def test_one_that_fails_does_not_keep_events_from_the_others(self) -> None:
        """And what it raised is not lost."""
        heard: list[str] = []

        def broken(_name: str, _fields: Mapping[str, Any]) -> None:
            raise ZeroDivisionError

        with pytest.raises(ExceptionGroup) as caught:
            fan_out(broken, lambda name, _: heard.append(name))("prove.hit", {})
        assert heard == ["prove.hit"]
        assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError]

    def test_what_is_no_listener_is_refused_at_once(self) -> None:
        """Not at the first event."""
        with pytest.raises(TypeError, match="not int"):
            fan_out(print, 3)  # type: ignore[arg-type]
