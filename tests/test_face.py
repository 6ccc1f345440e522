"""The public face: what may be imported from `aprover`, how it is called, and what its objects are."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from typing import Any

import attrs
import pytest

import aprover

SETTINGS = {"security": 100, "backend": "stark", "priority": 0, "deadline": None, "cache": True}
ENGINE = {
    "workers": None,
    "policy": None,
    "cache_bytes": 256 * 2**20,
    "max_pending": 10_000,
    "on_overload": "wait",
    "on_exit": "wait",
    "trace": None,
}
POLICIES = (aprover.AdaptivePolicy, aprover.FixedPolicy, aprover.AlwaysInline, aprover.AlwaysOffload)
PROOF = aprover.prove_sync(aprover.Fibonacci(20))


def defaults(function: Callable[..., object]) -> dict[str, object]:
    """Of what can be given by name only."""
    parameters = inspect.signature(function).parameters.values()
    return {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY}


class TestNames:
    def test_all_names_are_there_and_sorted(self) -> None:
        """And nothing else is public but modules of the package."""
        assert aprover.__all__ == sorted(aprover.__all__)
        public = {name for name, value in vars(aprover).items() if name[0] != "_" and not inspect.ismodule(value)}
        assert public - {"annotations"} == set(aprover.__all__) - {"__version__", "reference", "testing"}

    @pytest.mark.parametrize(
        "function",
        [aprover.prove, aprover.prove_sync, aprover.prove_batch, aprover.prove_batch_sync, aprover.prove_as_completed],
    )
    def test_settings_are_given_by_name_and_have_the_same_defaults_everywhere(self, function: Any) -> None:
        """One program or many, with an event loop or without."""
        found = defaults(function)
        assert {name: found[name] for name in SETTINGS} == SETTINGS

    def test_an_engine_has_what_the_module_has(self) -> None:
        """The same settings, and the same calls."""
        found = defaults(aprover.open_engine)
        assert {name: found[name] for name in ENGINE} == ENGINE
        for name in ("prove", "prove_sync", "prove_batch", "prove_batch_sync", "prove_as_completed", "estimate"):
            assert defaults(getattr(aprover.Engine, name)) == defaults(getattr(aprover, name))

    def test_both_verifiers_are_called_alike(self) -> None:
        """And ask for 100 bits."""
        assert defaults(aprover.verify) == defaults(aprover.reference.verify) == {"min_security": 100, "program": None}


class TestObjects:
    @pytest.mark.parametrize(
        "value",
        [
            *[policy() for policy in POLICIES],
            aprover.Fibonacci(20),
            aprover.estimate(aprover.Fibonacci(20)),
            PROOF,
            PROOF.statement,
            PROOF.security,
            aprover.EngineStatistics(requests=1),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_it_survives_a_pickle_and_cannot_be_changed(self, value: object) -> None:
        """Settings, programs, proofs, and what is said of them."""
        assert pickle.loads(pickle.dumps(value)) == value
        kind = type(value)
        name = next((field.name for field in attrs.fields(kind)), "anything") if attrs.has(kind) else "statement"
        with pytest.raises(AttributeError):  # attrs' own is one
            setattr(value, name, 1)


class TestLife:
    async def test_the_module_asks_the_engine_that_is_open_here_and_none_instead_when_it_is_closed(self) -> None:
        """A closed engine in context is never silently replaced by another."""
        async with aprover.open_engine(workers=1) as engine:
            await aprover.prove(aprover.Fibonacci(33))
            assert engine.statistics().requests == 1
            async with aprover.prove_as_completed([aprover.Fibonacci(34)]) as done:
                assert [(item.index, item.unwrap().public_outputs) async for item in done] == [(0, (5702887,))]
            assert engine.statistics().requests == 2
        with pytest.raises(aprover.EngineClosed):
            await engine.prove(aprover.Fibonacci(33))
