"""From words on the command line to a program, and what a shell may complete them to."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import attrs
import typer

from aprover import Program, ProgramError, programs
from aprover.errors import shown

__all__ = ["SHIPPED", "build", "complete_program", "complete_value", "described", "fields_of", "find"]

SHIPPED: dict[str, type[Program]] = {
    cls.id: cls for name in programs.__all__ if issubclass(cls := getattr(programs, name), Program)
}

LONGEST_INPUT = 64 * 2**20
"""Bytes of a file given as ``@FILE``."""


def find(name: str) -> type[Program]:
    """The program with this id, or the class named by ``module:Class``, imported with this folder on the path.

    Raises:
        ProgramError: There is none, or its module cannot be imported.
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
    except Exception as error:
        # The module is the user's, and may raise anything.
        what = "" if isinstance(error, ImportError | AttributeError | ValueError) else f"{type(error).__name__}: "
        raise ProgramError(f"cannot import {name!r}: {what}{error}", field="program") from error
    if not (isinstance(found, type) and issubclass(found, Program) and found is not Program):
        raise ProgramError(f"{name!r} is not a Program", field="program")
    return found


def fields_of(cls: type[Program]) -> list[attrs.Attribute[Any]]:
    """What the program is given, in order."""
    return [field for field in attrs.fields(cast(Any, cls)) if field.init]


def build(cls: type[Program], words: list[str]) -> Program:
    """An instance from words like ``100``, ``n=100`` or ``seed=(1,2,3)``: Python literals, or else text.

    What stands in a file is given as ``@FILE``. A field of bytes takes the file's bytes, ``hex:00ff``, or text.

    Raises:
        ProgramError: The words do not fit the fields, or a field refuses its value.
        OSError: A file cannot be read, or is longer than 64 MiB.
    """
    fields = fields_of(cls)
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
        values[name] = _value(fields[names.index(name)], text)
    missing = [field.name for field in fields if field.default is attrs.NOTHING and field.name not in values]
    if missing:
        raise ProgramError(f"{cls.id} needs a value for {', '.join(missing)}", field=missing[0])
    return cast(Program, cast(Any, cls)(**values))


def _value(field: attrs.Attribute[Any], text: str) -> Any:
    is_bytes = getattr(field.type, "__name__", str(field.type)) == "bytes"
    if text.startswith("@"):
        data = _contents(text[1:])
        if is_bytes:
            return data
        try:
            text = data.decode().strip()
        except UnicodeDecodeError:
            raise ProgramError(field=field.name, value=text, allowed="a file of text") from None
    if not is_bytes:
        return _literal(text)
    if text.startswith("hex:"):
        try:
            return bytes.fromhex(text[4:])
        except ValueError:
            raise ProgramError(field=field.name, value=text, allowed="hex: and pairs of hexadecimal digits") from None
    value = _literal(text)
    return value if isinstance(value, bytes) else text.encode()


def _contents(name: str) -> bytes:
    with Path(name).open("rb") as file:
        data = file.read(LONGEST_INPUT + 1)
    if len(data) > LONGEST_INPUT:
        raise OSError(f"{name} has more than {LONGEST_INPUT} bytes")
    return data


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        # The last two: nested too deeply for the parser.
        return text


def complete_program(incomplete: str) -> list[str]:
    """The ids that begin so."""
    return [name for name in sorted(SHIPPED) if name.startswith(incomplete)]


def complete_value(context: typer.Context, incomplete: str) -> Iterator[str]:
    """The inputs that the program takes and that were not given yet, as ``name=``. No code of a user is imported."""
    cls = SHIPPED.get(str(context.params.get("program")))
    if cls is None:
        return
    given = {word.partition("=")[0] for word in context.params.get("values") or ()}
    for field in fields_of(cls):
        if field.name not in given and field.name.startswith(incomplete):
            yield f"{field.name}="


def described(cls: type[Program]) -> list[dict[str, Any]]:
    """The program's inputs: of each its name, its type, its role, and its default where that is no secret."""
    out = []
    for field in fields_of(cls):
        role = str(field.metadata.get("aprover") or "parameter")
        kind = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", str(field.type))
        line: dict[str, Any] = {"name": field.name, "type": str(kind), "role": role}
        if field.default is attrs.NOTHING:
            line["needed"] = True
        else:
            line["needed"] = False
            line["default"] = "not shown" if role == "private" else shown(field.default)
        out.append(line)
    return out
