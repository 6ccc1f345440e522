"""From words on the command line to a program."""

from __future__ import annotations

import ast
import importlib
import sys
from typing import Any, cast

import attrs

from aprover import Program, ProgramError, programs

__all__ = ["build", "find"]

SHIPPED: dict[str, type[Program]] = {
    cls.id: cls for name in programs.__all__ if issubclass(cls := getattr(programs, name), Program)
}


def find(name: str) -> type[Program]:
    """The program with this id, or the class named by ``module:Class``, imported with this folder on the path.

    Raises:
        ProgramError: There is none.
    """
    if ":" not in name:
        if name not in SHIPPED:
            known = ", ".join(sorted(SHIPPED))
            raise ProgramError(f"unknown program {name!r}; known: {known}; your own: module:Class", field="program")
        return SHIPPED[name]
    module_name, _, class_name = name.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found: Any = importlib.import_module(module_name)
        for part in class_name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ProgramError(f"cannot import {name!r}: {error}", field="program") from error
    if not (isinstance(found, type) and issubclass(found, Program)):
        raise ProgramError(f"{name!r} is not a Program", field="program")
    return found


def build(cls: type[Program], words: list[str]) -> Program:
    """An instance from words like ``100``, ``n=100`` or ``seed=(1,2,3)``: Python literals, or else text.

    Raises:
        ProgramError: The words do not fit the fields, or a field refuses its value.
    """
    fields = [field for field in attrs.fields(cast(Any, cls)) if field.init]
    names = [field.name for field in fields]
    values: dict[str, Any] = {}
    for position, word in enumerate(words):
        name, equals, text = word.partition("=")
        if not equals or name not in names:
            if position >= len(names):
                raise ProgramError(f"{cls.id} takes at most {len(names)} values: {', '.join(names)}")
            name, text = names[position], word
        if name in values:
            raise ProgramError(f"{name} is given twice", field=name)
        values[name] = _literal(text)
    missing = [field.name for field in fields if field.default is attrs.NOTHING and field.name not in values]
    if missing:
        raise ProgramError(f"{cls.id} needs a value for {', '.join(missing)}", field=missing[0])
    return cast(Program, cast(Any, cls)(**values))


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
