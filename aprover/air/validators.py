"""Validators for the fields of programs; each raises a ProgramError that names field, value and allowed range."""

from __future__ import annotations

from typing import Any

import attrs

from ..errors import ProgramError
from .field import P, is_element
from .program import Validator


def integer(low: int, high: int) -> Validator:
    """An int from `low` to `high`, both included."""

    def check(_instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if type(value) is not int or not low <= value <= high:
            raise ProgramError(field=attribute.name, value=value, allowed=f"an int from {low} to {high}")

    return _sees_value_only(check)


def field_elements(count: int) -> Validator:
    """A tuple of `count` ints in ``[0, P)``."""

    def check(_instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        allowed = f"a tuple of {count} ints from 0 to {P - 1}"
        if type(value) is not tuple or len(value) != count:
            raise ProgramError(field=attribute.name, value=value, allowed=allowed)
        for i, item in enumerate(value):
            if not is_element(item):
                raise ProgramError(field=f"{attribute.name}[{i}]", value=item, allowed=f"an int from 0 to {P - 1}")

    return _sees_value_only(check)


def _sees_value_only(check: Validator) -> Validator:
    """Says that it does not look at other fields."""
    check.sees_value_only = True  # type: ignore[attr-defined] # functions may have attributes
    return check
