"""What a proof claims, and its canonical bytes (docs/protocol.md, section 11)."""

from __future__ import annotations

import struct
from typing import Any, TypeAlias, Union

import attrs

from .errors import ProgramError, ProofFormatError, VerificationCode, shown

__all__ = [
    "MAX_DEPTH",
    "MAX_STATEMENT_BYTES",
    "Statement",
    "StatementForm",
    "Value",
    "ValueReader",
    "encode_value",
]

Value: TypeAlias = Union[bool, int, bytes, str, "tuple[Value, ...]", None]
"""What a public field or output may hold."""

MAX_STATEMENT_BYTES = 2**24
MAX_DEPTH = 8
"""How deep tuples may nest; parameters, inputs and outputs are themselves the first level."""

_MAX_INT_BYTES = 2**16 - 1
_NONE, _FALSE, _TRUE, _INT, _BYTES, _STR, _TUPLE = range(7)


_pack_integer = struct.Struct("<BBH").pack
_pack_tuple = struct.Struct("<BI").pack
_LARGEST_WORD = 2**32 - 1
_word_heads = [_pack_integer(_INT, 0, length) for length in range(5)]
"""What stands before an integer of 0 to 4 bytes that is not negative."""


def _encode(out: bytearray, value: Any, field: str, depth: int = 0) -> None:
    # Exact types: a subclass (an IntEnum, a named tuple) would not come back as what it was.
    kind = type(value)
    if kind is int:
        length = (value.bit_length() + 7) // 8
        if length > _MAX_INT_BYTES:
            raise ProgramError(field=field, value=value, allowed=f"integers of at most {_MAX_INT_BYTES} bytes")
        out += _pack_integer(_INT, value < 0, length)
        out += abs(value).to_bytes(length, "little")
    elif kind is str:
        try:
            data = value.encode()
        except UnicodeEncodeError:
            raise ProgramError(field=field, value=value, allowed="text without lone surrogates") from None
        _encode_block(out, _STR, data, field)
    elif kind is bytes:
        _encode_block(out, _BYTES, value, field)
    elif kind is tuple:
        _encode_tuple(out, value, field, depth)
        return
    elif value is None:
        out.append(_NONE)
    elif kind is bool:
        out.append(_TRUE if value else _FALSE)
    else:
        raise ProgramError(
            f"{field} = {shown(value)} is a {kind.__module__}.{kind.__qualname__}; "
            "a public value is None, or exactly a bool, int, bytes, str or tuple of these",
            field=field,
            value=value,
            allowed="None, bool, int, bytes, str, tuple",
        )
    if len(out) > MAX_STATEMENT_BYTES:
        raise ProgramError(f"{field}: a statement has at most {MAX_STATEMENT_BYTES} bytes", field=field)


def _encode_tuple(out: bytearray, values: tuple[Any, ...], field: str, depth: int = 0) -> None:
    if depth >= MAX_DEPTH:
        raise ProgramError(f"{field}: tuples nest at most {MAX_DEPTH} deep", field=field)
    out += _pack_tuple(_TUPLE, len(values))
    for value in values:
        if type(value) is int and 0 <= value <= _LARGEST_WORD:  # as most public values are, and so without a call
            length = (value.bit_length() + 7) // 8
            out += _word_heads[length]
            out += value.to_bytes(length, "little")
        else:
            _encode(out, value, field, depth + 1)
    if len(out) > MAX_STATEMENT_BYTES:
        raise ProgramError(f"{field}: a statement has at most {MAX_STATEMENT_BYTES} bytes", field=field)


def encode_value(value: Value, field: str) -> bytes:
    """The canonical encoding of one value; `field` is for messages.

    Raises:
        ProgramError: It has none.
    """
    out = bytearray()
    _encode(out, value, field)
    return bytes(out)


def _encode_block(out: bytearray, kind: int, data: bytes, field: str) -> None:
    if len(data) > MAX_STATEMENT_BYTES:  # before it is copied
        raise ProgramError(f"{field}: a statement has at most {MAX_STATEMENT_BYTES} bytes", field=field)
    out.append(kind)
    out += len(data).to_bytes(4, "little")
    out += data


def _malformed(message: str) -> ProofFormatError:
    return ProofFormatError(VerificationCode.ENVELOPE, f"statement: {message}")


class ValueReader:
    """Reads values front to back; allocates nothing that bytes which are there do not justify."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        """The next bytes.

        Raises:
            ProofFormatError: Code ``ENVELOPE``; so few are left. `number` and `value` too, and what is not canonical.
        """
        end = self.at + count
        if end > len(self.data):
            raise _malformed("truncated")
        piece = self.data[self.at : end]
        self.at = end
        return piece

    def number(self, size: int) -> int:
        """The next number of so many bytes."""
        return int.from_bytes(self.take(size), "little")

    def value(self, depth: int = 0) -> Value:
        """The next value."""
        kind = self.number(1)
        if kind == _INT:
            return self._integer()
        if kind == _BYTES:
            return self.take(self.number(4))
        if kind == _STR:
            try:
                return self.take(self.number(4)).decode()
            except UnicodeDecodeError:
                raise _malformed("a string is not UTF-8") from None
        if kind == _TUPLE:
            if depth >= MAX_DEPTH:
                raise _malformed(f"tuples nest more than {MAX_DEPTH} deep")
            # The list grows as values are read, so a false count costs nothing.
            return tuple([self.value(depth + 1) for _ in range(self.number(4))])
        if kind == _NONE:
            return None
        if kind in (_FALSE, _TRUE):
            return kind == _TRUE
        raise _malformed(f"unknown kind of value {kind}")

    def _integer(self) -> int:
        sign = self.number(1)
        magnitude = self.take(self.number(2))
        if sign > 1 or (magnitude and magnitude[-1] == 0) or (sign and not magnitude):
            raise _malformed("an integer is not in its canonical form")
        number = int.from_bytes(magnitude, "little")
        return -number if sign else number


@attrs.frozen(repr=False)
class Statement:
    """What a proof proves: that `program`, with these parameters and public inputs, gives these public outputs.

    Two statements are equal exactly if their bytes are: `True` and `1` are different values here.

    Attributes:
        program: The program's id, such as ``"fibonacci"`` or ``"module:Class"``.
        parameters: ``(name, value)`` pairs; the constraints and the number of rows may depend on them.
        public_inputs: Values that the constraints read and that do not change the constraints.
        public_outputs: What the computation gives.

    Raises:
        ProgramError: A value is of a kind that has no encoding, or the whole is too large.
    """

    program: str = attrs.field(eq=False)
    parameters: tuple[tuple[str, Value], ...] = attrs.field(eq=False)
    public_inputs: tuple[Value, ...] = attrs.field(eq=False)
    public_outputs: tuple[Value, ...] = attrs.field(eq=False)
    _encoded: bytes = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        if type(self.program) is not str:
            raise ProgramError(field="program", value=self.program, allowed="a str")
        for field in ("parameters", "public_inputs", "public_outputs"):
            if type(getattr(self, field)) is not tuple:
                raise ProgramError(field=field, value=getattr(self, field), allowed="a tuple")
        for pair in self.parameters:
            if type(pair) is not tuple or len(pair) != 2 or type(pair[0]) is not str:
                raise ProgramError(field="parameters", value=pair, allowed="pairs of a str and a value")
        out = bytearray()
        _encode(out, self.program, "program")
        _encode(out, self.parameters, "parameters")
        _encode(out, self.public_inputs, "public_inputs")
        _encode(out, self.public_outputs, "public_outputs")
        object.__setattr__(self, "_encoded", bytes(out))

    def to_bytes(self) -> bytes:
        """The canonical encoding; at most `MAX_STATEMENT_BYTES`."""
        return self._encoded

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Statement:
        """The statement with exactly these bytes.

        Time and memory are linear in ``len(data)``.

        Raises:
            ProofFormatError: Code ``ENVELOPE``; the bytes are not the canonical encoding of a statement.
        """
        if len(data) > MAX_STATEMENT_BYTES:
            raise _malformed(f"more than {MAX_STATEMENT_BYTES} bytes")
        decoder = ValueReader(bytes(data))
        fields = [decoder.value() for _ in range(4)]
        if decoder.at != len(data):
            raise _malformed("bytes follow its end")
        try:
            return cls(*fields)  # type: ignore[arg-type]  # __attrs_post_init__ checks what mypy cannot see
        except ProgramError as error:
            raise _malformed(str(error)) from None

    def __repr__(self) -> str:
        # By hand, because Python refuses to print very large integers, which a hostile proof may hold.
        pairs = [
            f"{name if name.isidentifier() else shown(name)}={shown(value)}" for name, value in self.parameters[:20]
        ]
        named = ", ".join(pairs) + (", ..." if len(self.parameters) > 20 else "")
        inputs, outputs = shown(self.public_inputs), shown(self.public_outputs)
        head = f"Statement({shown(self.program)}, parameters=({named})"
        return f"{head}, public_inputs={inputs}, public_outputs={outputs})"


_new, _set = object.__new__, object.__setattr__


class StatementForm:
    """What statements about the same program and parameters have in common, checked and encoded once.

    Raises:
        ProgramError: As `Statement`.
    """

    __slots__ = ("_head", "parameters", "program")

    def __init__(self, program: str, parameters: tuple[tuple[str, Value], ...]) -> None:
        empty = Statement(program, parameters, (), ())
        self.program = program
        self.parameters = parameters
        self._head = empty.to_bytes()[: -2 * len(_pack_tuple(_TUPLE, 0))]

    def fill(self, public_inputs: tuple[Value, ...], public_outputs: tuple[Value, ...]) -> Statement:
        """The statement with these values, which must be tuples.

        Raises:
            ProgramError: As `Statement`.
        """
        out = bytearray(self._head)
        _encode_tuple(out, public_inputs, "public_inputs")
        _encode_tuple(out, public_outputs, "public_outputs")
        statement = _new(Statement)
        _set(statement, "program", self.program)
        _set(statement, "parameters", self.parameters)
        _set(statement, "public_inputs", public_inputs)
        _set(statement, "public_outputs", public_outputs)
        _set(statement, "_encoded", bytes(out))
        return statement
