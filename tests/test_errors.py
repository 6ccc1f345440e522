from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aprover import errors
from aprover.errors import (
    AproverError,
    BatchError,
    ConstraintError,
    DeadlineExceeded,
    EngineClosed,
    EngineOverloaded,
    ProgramError,
    ProofFormatError,
    ProveError,
    SecurityError,
    VerificationCode,
    VerificationError,
    rejection,
    shown,
)

SAMPLES: list[AproverError] = [
    AproverError("base"),
    ProgramError(field="n", value=0, allowed="1 to 4194304"),
    ProgramError("a sentence"),
    ConstraintError(name="step", row=3, values=(1, 2)),
    ProveError("failed"),
    VerificationError(VerificationCode.QUOTIENT, "does not hold"),
    VerificationError("DEEP"),
    ProofFormatError(VerificationCode.TRAILING, "3 bytes"),
    SecurityError("too weak", reachable=97.5),
    EngineClosed("closed"),
    EngineOverloaded("full"),
    DeadlineExceeded("late"),
    BatchError("2 failed", [ProveError("a"), ProgramError("b")], ["proof", ProveError("a"), ProgramError("b")]),
]


def described(error: Any) -> Any:
    """The type, the text and all attributes, with exceptions inside described likewise."""
    if not isinstance(error, BaseException):
        return tuple(map(described, error)) if isinstance(error, tuple | list) else error
    state = {name: described(value) for name, value in vars(error).items()}
    inner = [described(item) for item in error.exceptions] if isinstance(error, BaseExceptionGroup) else []
    return type(error), str(error), state, inner


class TestPickling:
    @pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
    def test_every_error_survives_pickle_and_copy(self, error: AproverError) -> None:
        """Type, text and attributes come back, since errors cross processes."""
        for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert described(twin) == described(error)

    def test_the_samples_cover_every_error_class(self) -> None:
        """A new error class has to be added to the samples above."""
        classes = {c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, AproverError)}
        assert classes == {type(sample) for sample in SAMPLES}


class TestProgramError:
    def test_the_composed_message_names_field_value_and_range(self) -> None:
        """Without a message of its own, the error says which field, which value, what is allowed."""
        error = ProgramError(field="n", value=0, allowed="1 to 4194304")
        assert str(error) == "n = 0 is not allowed; allowed: 1 to 4194304"
        assert (error.field, error.value, error.allowed) == ("n", 0, "1 to 4194304")

    def test_a_constraint_error_names_the_constraint_the_row_and_both_values(self) -> None:
        """What `aprover.check` raises can be read without a debugger."""
        error = ConstraintError(name="step", row=3, values=(1, 2))
        assert isinstance(error, ProgramError)
        assert str(error) == "constraint 'step' fails at row 3: 1 != 2"
        assert (error.name, error.row, error.values) == ("step", 3, (1, 2))


class TestVerificationError:
    @pytest.mark.parametrize("code", list(VerificationCode))
    def test_each_code_has_its_class(self, code: VerificationCode) -> None:
        """Format codes are ProofFormatError, SECURITY is SecurityError, the rest neither."""
        error = rejection(code.value, "why")
        assert error.code is code
        assert str(error) == f"{code.value}: why"
        format_codes = {"PARAMETERS", "TRUNCATED", "NON_CANONICAL", "TRAILING", "ENVELOPE"}
        assert isinstance(error, ProofFormatError) == (code.value in format_codes)
        assert isinstance(error, SecurityError) == (code.value == "SECURITY")

    def test_an_unknown_code_is_refused(self) -> None:
        """A code outside the enum is a mistake of the caller and not a rejection."""
        with pytest.raises(ValueError, match="NOPE"):
            rejection("NOPE")


class TestBatchError:
    def test_it_is_an_exception_group_with_results_in_order(self) -> None:
        """`except*` sees each failure, and `.results` keeps the successes."""
        failure = ProveError("x")
        seen: list[Any] = []
        try:
            raise BatchError("1 of 2 failed", [failure], ["proof", failure])
        except* ProveError as group:
            seen += group.exceptions
            assert isinstance(group, BatchError)
            assert group.results == ("proof", failure)
        assert seen == [failure]

    def test_splitting_keeps_the_results(self) -> None:
        """A part of a batch error still knows the whole batch."""
        error = BatchError("2 failed", [ProveError("a"), EngineClosed("b")], [1, 2, 3])
        part, rest = error.split(EngineClosed)
        assert isinstance(part, BatchError) and isinstance(rest, BatchError)
        assert part.results == rest.results == (1, 2, 3)
        assert [type(e) for e in rest.exceptions] == [ProveError]


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


PLAIN = st.integers() | st.text() | st.binary() | st.none()


class TestShown:
    @given(st.recursive(PLAIN, lambda value: st.lists(value, max_size=9).map(tuple), max_leaves=20))
    def test_it_is_short_for_any_value(self, value: object) -> None:
        """Messages stay bounded whatever a hostile statement holds."""
        assert len(shown(value)) < 200

    def test_extreme_values_do_not_raise(self) -> None:
        """Integers that Python refuses to print, deep nesting and a failing repr are all shown somehow."""
        deep: Any = ()
        for _ in range(5000):
            deep = (deep,)
        assert shown(1 << 100_000) == "an integer of 100001 bits"
        assert "..." in shown(deep)
        assert shown(Unprintable()) == "<Unprintable>"
