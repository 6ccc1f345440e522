"""`Program`: what a user writes to have a computation proved."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast, dataclass_transform

import attrs

from ..errors import AproverError, ProgramError, VerificationCode, VerificationError, shown
from ..statement import Statement, StatementForm, Value
from .builder import AirBuilder
from .compiled import CompiledAir
from .field import P, is_element

__all__ = [
    "Form",
    "Params",
    "Program",
    "compile_program",
    "names_of",
    "private",
    "program_from_statement",
    "public",
    "shipped",
]

_ROLE = "aprover"
_PUBLIC = "public"
_PRIVATE = "private"

Validator = Callable[[Any, Any, Any], object]


def public(
    *, default: Any = attrs.NOTHING, validator: Validator | None = None, converter: Any = None, kw_only: bool = False
) -> Any:
    """Declares a field of a `Program` as a public input: an int in ``[0, P)``, or a tuple of such ints.

    Constraints read it as ``b.public("name")`` or ``b.public("name", index)``. It is part of the statement and never
    shapes the AIR, so one AIR serves all its values.
    """
    return attrs.field(
        default=default, validator=validator, converter=converter, kw_only=kw_only, metadata={_ROLE: _PUBLIC}
    )


def private(
    *, default: Any = attrs.NOTHING, validator: Validator | None = None, converter: Any = None, kw_only: bool = False
) -> Any:
    """Declares a field of a `Program` as a private input, which only `trace` and `public_outputs` see.

    It reaches neither the statement nor the repr, logs or errors. This alone does not hide it: the trace values
    that a proof opens may reveal something about it, unless the proof is made with ``zk=True``.
    """
    return attrs.field(
        default=default,
        validator=validator,
        converter=converter,
        kw_only=kw_only,
        repr=False,
        metadata={_ROLE: _PRIVATE},
    )


class Params:
    """The parameters of a program, read as attributes; what `Program.air` gets."""

    __slots__ = ("_hash", "_key", "_program", "_values")

    def __init__(self, program: type[Program], values: Mapping[str, Value]) -> None:
        self._program = program
        self._values = dict(values)
        self._key = tuple([exact_form(value) for value in self._values.values()])
        self._hash = hash((program, self._key))

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            pass
        role = next((_role(f) for f in _fields(self._program) if f.name == name), None)
        if role == _PUBLIC:
            hint = f"{name!r} is a public input: constraints read it as b.public({name!r})"
        elif role == _PRIVATE:
            hint = f"{name!r} is private: constraints cannot depend on it, only the trace can"
        else:
            hint = f"{self._program.__name__} has no parameter {name!r}; there are: {', '.join(self._values) or 'none'}"
        raise AttributeError(hint)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Params):
            return NotImplemented
        return self._program is other._program and self._key == other._key

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"Params({', '.join(f'{name}={shown(value)}' for name, value in self._values.items())})"


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field, public, private))
class Program:
    """A computation that can be proved. Every subclass becomes a frozen attrs class.

    A plain annotated field is a *parameter*: the constraints and the number of rows may depend on it, and it is part of
    the statement. Fields declared with `public` are public inputs, fields declared with `private` private ones. All are
    immutable: None, bool, int, bytes, str, tuples of these; private ones may also be frozen attrs instances.

    A subclass defines `air` and `trace`, and `public_outputs` if it has any. It may set `id`, which names it in
    statements; by default that is ``module:qualname``. A program that is defined in a script run as ``__main__`` should
    set it, or a verifier that imports the class sees another id.

    Instances compare and hash by class and all fields, exactly: ``True`` and ``1`` differ.
    """

    id: ClassVar[str] = "aprover:Program"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "id" not in cls.__dict__:
            cls.id = f"{cls.__module__}:{cls.__qualname__}"
        if not {"air", "trace"}.isdisjoint(cls.__dict__) and "native_trace" not in cls.__dict__:
            cls.native_trace = Program.native_trace  # type: ignore[method-assign] # an inherited one makes another trace
        for name in inspect.get_annotations(cls):
            if name != "id" and (hasattr(Program, name) or name.startswith("_")):
                raise ProgramError(f"{cls.__qualname__}: the field name {name!r} is not allowed; Program uses it")
        # In place: no slots, so that no second class is made. Equality and hash are this class's own.
        attrs.define(
            cls, auto_attribs=True, slots=False, frozen=True, eq=False, order=False, field_transformer=_with_checks
        )

    # What a subclass defines

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:  # noqa: ARG003 - for subclasses
        """Describes the columns, the constraints and the number of rows.

        Args:
            b: Takes the description.
            params: The parameters as attributes (a `Params`); the AIR may depend on nothing else.
        """
        raise ProgramError(f"{cls.__qualname__} does not define air(cls, b, params)")

    def trace(self, out: Any) -> None:  # noqa: ARG002 - for subclasses
        """Writes the trace into `out`.

        Args:
            out: A uint32 array, zeroed, of shape (height, columns), column-major in memory (``out[:, c]`` is
                contiguous). The height is the next power of two of the rows that `air` asked for, at least 8; the
                constraints hold on all of it. The columns are those that `air` declared, without preprocessed ones. All
                values must be below P. If `air` has made further tables by `AirBuilder.table`, a mapping from the
                tables' names to such arrays; the first table is ``"main"``.
        """
        raise ProgramError(f"{type(self).__qualname__} does not define trace(self, out)")

    def public_outputs(self) -> tuple[int, ...]:
        """What the computation gives: ints in ``[0, P)``, read by constraints as ``b.output(i)``."""
        return ()

    def native_trace(self) -> tuple[int, tuple[int, ...]] | None:
        """The number of a trace generator in C and its arguments (see csrc/aprover.h), or None if there is none."""
        return None

    # What others ask

    def statement(self) -> Statement:
        """What a proof of this program claims. Made once for each instance.

        Runs `public_outputs`, which may take as long as the computation itself.

        Raises:
            ProgramError: The AIR is wrong, or the outputs are not ints in ``[0, P)``, or a public input or output is
                read by no constraint.
        """
        return self._form().claim(self)[0]

    def compiled(self, *, zk: bool = False) -> CompiledAir:
        """The AIR for this instance's parameters; cached by class and parameters.

        Args:
            zk: For zero-knowledge proofs; another AIR if several tables are on buses.

        Raises:
            ProgramError: The AIR is wrong; see `AirBuilder.compile`.
        """
        return self._form(zk=zk).air

    def _form(self, *, zk: bool = False) -> Form:
        """The AIR and what else instances with the same parameters share; cached, with errors, as `compiled`."""
        name = "_made_zk" if zk else "_made"
        cached = self.__dict__.get(name)
        if cached is None:
            cached = self.__dict__[name] = _form_of(Params(type(self), self._parameters()), zk)
        return cast(Form, cached)

    def _parameters(self) -> dict[str, Value]:
        return {name: getattr(self, name) for name in names_of(type(self)).parameters}

    def _key(self) -> tuple[object, ...]:
        key = self.__dict__.get("_exact")
        if key is None:
            key = names_of(type(self)).values(self)
            if not _ATOMS.issuperset(map(type, key)):
                key = tuple([exact_form(value) for value in key])
            self.__dict__["_exact"] = key
        return cast("tuple[object, ...]", key)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Program):
            return NotImplemented
        return type(self) is type(other) and self._key() == other._key()

    def __hash__(self) -> int:
        value = self.__dict__.get("_hash")
        if value is None:
            value = self.__dict__["_hash"] = hash((type(self), self._key()))
        return cast(int, value)

    def __getstate__(self) -> dict[str, Any]:
        # Fields only: a cached hash means nothing in another process.
        return {name: getattr(self, name) for name in names_of(type(self)).all}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


def compile_program(cls: type[Program], parameters: Mapping[str, Value], *, zk: bool = False) -> CompiledAir:
    """The AIR of `cls` for these parameters, without an instance; cached like `Program.compiled`.

    It does not run the program's own validators; `program_from_statement` does.
    """
    return _form_of(Params(cls, parameters), zk).air


@attrs.frozen(eq=False)
class Form:
    """What all instances of a program with the same parameters have in common.

    Attributes:
        air: Their constraints.
    """

    air: CompiledAir
    _statements: StatementForm
    _inputs: Callable[[Program], tuple[Any, ...]]
    """An instance's public inputs."""

    def claim(self, program: Program) -> tuple[Statement, list[int]]:
        """What a proof of `program` claims, made once for each instance, and its public values in the AIR's order.

        Raises:
            ProgramError: As `Program.statement`.
        """
        # The statement only, which the proof holds too. The values as well were two more objects for each of thousands
        # of programs whose proofs are waited for, and made Python collect garbage four times as often meanwhile.
        statement = program.__dict__.get("_statement")
        if statement is not None:
            return statement, self.air.publics(statement)
        statement, values = self._claim(program)
        program.__dict__["_statement"] = statement
        return statement, values

    def _claim(self, program: Program) -> tuple[Statement, list[int]]:
        outputs = program.public_outputs()
        if type(outputs) is not tuple:
            raise ProgramError(field="public_outputs()", value=outputs, allowed="a tuple of ints")
        try:
            statement = self._statements.fill(self._inputs(program), outputs)
            return statement, self.air.publics(statement)
        except (ProgramError, VerificationError) as error:
            for i, value in enumerate(outputs):
                if not is_element(value):
                    allowed = f"an int from 0 to {P - 1}"
                    raise ProgramError(field=f"public_outputs()[{i}]", value=value, allowed=allowed) from None
            if isinstance(error, ProgramError):
                raise
            message = f"{program.id}: the constraints do not fit the public values: {error.args[1]}"
            raise ProgramError(message) from None


@functools.lru_cache(maxsize=512)  # which does not keep failures
def _form_of(params: Params, zk: bool) -> Form:
    cls = params._program
    air = _describe(params).compile(zk=zk)
    if zk and air.data == (plain := _form_of(params, False)).air.data:
        return plain
    return Form(air, StatementForm(cls.id, tuple(params._values.items())), _getter(names_of(cls).inputs))


def _describe(params: Params) -> AirBuilder:
    cls = params._program
    builder = AirBuilder([f.name for f in _fields(cls) if _role(f) == _PUBLIC])
    cls.air(builder, params)
    return builder


def describe(program: Program) -> AirBuilder:
    """The AIR as expressions, made anew, for messages about it."""
    builder = _describe(Params(type(program), program._parameters()))
    builder.finish()
    return builder


# Programs by id, for verifiers

_shipped: dict[str, type[Program]] = {}


def shipped(cls: type[Program]) -> type[Program]:
    """Registers a program that comes with aprover, so that `program_from_statement` finds it by its id."""
    other = _shipped.setdefault(cls.id, cls)
    if other is not cls:
        raise ProgramError(f"the program id {cls.id!r} belongs to {other.__qualname__}")
    return cls


def program_from_statement(
    statement: Statement, cls: type[Program] | None = None, *, zk: bool = False
) -> tuple[CompiledAir, type[Program]]:
    """The constraints that a proof of `statement` must satisfy, and the program's class.

    Checks the parameters' names, and runs the program's own validators on the parameters and the public inputs.
    Validators see no private field.

    Args:
        statement: From a proof, so anybody may have written it.
        cls: The program that the verifier expects; by default the shipped program with the statement's id.
        zk: Whether the proof says that it is zero-knowledge, which may mean another AIR.

    Raises:
        VerificationError: Code ``PROGRAM``: an unknown or unexpected program, or parameters that it refuses. Code
            ``STATEMENT``: public inputs that it refuses.
    """
    if cls is None:
        cls = _shipped.get(statement.program)
        if cls is None:
            raise _refused(f"unknown program {statement.program!r}; give its class to the verifier")
    elif cls.id != statement.program:
        raise _refused(f"the statement is about {statement.program!r}, not {cls.id!r}")
    fields = _fields(cls)
    names = [f.name for f in fields if _role(f) is None]
    if [name for name, _ in statement.parameters] != names:
        raise _refused(f"{cls.id} has the parameters {names}, not {[name for name, _ in statement.parameters]}")
    inputs = [f.name for f in fields if _role(f) == _PUBLIC]
    if len(inputs) != len(statement.public_inputs):
        raise VerificationError(
            VerificationCode.STATEMENT,
            f"{len(statement.public_inputs)} public inputs, but {cls.id} has {len(inputs)}",
        )
    parameters = dict(statement.parameters)
    probe = cls.__new__(cls)
    probe.__dict__.update(parameters)
    probe.__dict__.update(zip(inputs, statement.public_inputs, strict=True))
    for field in fields:
        if _role(field) == _PRIVATE or field.validator is None:
            continue
        try:
            field.validator(probe, field, getattr(probe, field.name))
        except Exception as error:
            code = VerificationCode.STATEMENT if _role(field) == _PUBLIC else VerificationCode.PROGRAM
            raise VerificationError(code, f"{cls.id} refuses the statement: {error}") from error
    try:
        return compile_program(cls, parameters, zk=zk), cls
    except Exception as error:  # a user's air() may fail in any way on parameters that no validator refused
        raise _refused(f"{cls.id} refuses the parameters: {type(error).__name__}: {error}") from error


def judges_public_inputs(cls: type[Program]) -> bool:
    """Whether a program's own validators may refuse one statement and accept another with the same parameters."""
    own = [(_role(field), getattr(field.validator, "own", None)) for field in _fields(cls)]
    return any(
        check is not None and (role == _PUBLIC or (role is None and not getattr(check, "sees_value_only", False)))
        for role, check in own
    )


def _refused(message: str) -> VerificationError:
    return VerificationError(VerificationCode.PROGRAM, message)


# Fields


@attrs.frozen(eq=False)
class Names:
    """The names of a program's fields, in their order."""

    all: tuple[str, ...]
    parameters: tuple[str, ...]
    inputs: tuple[str, ...]
    """The public ones."""
    values: Callable[[Any], tuple[Any, ...]]
    """Of an instance, in that order."""
    pick: Callable[[tuple[object, ...]], object]
    """Of the values of all fields those of the parameters: one alone, if there is one."""


def _getter(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """The values of these attributes."""
    if len(names) > 1:
        return operator.attrgetter(*names)
    return lambda it: tuple([getattr(it, name) for name in names])  # attrgetter would put no tuple around one alone


def _names_of(cls: type) -> Names:
    """Of all instances of `cls`."""
    fields = _fields(cls)
    places = [i for i, f in enumerate(fields) if _role(f) is None]
    names = tuple([f.name for f in fields])
    return Names(
        all=names,
        values=_getter(names),
        parameters=tuple([fields[i].name for i in places]),
        inputs=tuple([f.name for f in fields if _role(f) == _PUBLIC]),
        pick=operator.itemgetter(*places) if places else lambda _: None,
    )


names_of: Callable[[type], Names] = functools.lru_cache(maxsize=1024)(_names_of)


def _fields(cls: type) -> tuple[attrs.Attribute[Any], ...]:
    return cast("tuple[attrs.Attribute[Any], ...]", attrs.fields(cls))


@attrs.frozen
class _Frozen:
    """For its `__setattr__`, which all frozen attrs classes share."""


def _role(field: attrs.Attribute[Any]) -> str | None:
    return cast("str | None", field.metadata.get(_ROLE))


_ATOMS = frozenset({int, str, bytes, type(None)})


def exact_form(value: object) -> object:
    """A form of `value` that is equal to another one's only if both are the same values of the same types."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is tuple:
        items = cast("tuple[object, ...]", value)
        if all(type(item) is int for item in items):
            return value
        return (tuple, *[exact_form(item) for item in items])
    if attrs.has(kind):
        return (kind, *[exact_form(getattr(value, f.name)) for f in attrs.fields(kind)])
    return (kind, value)


def _is_allowed(value: object, role: str | None) -> bool:
    kind = type(value)
    if kind in _ATOMS or kind is bool:
        return role != _PUBLIC or is_element(value)
    if kind is tuple:
        return all(_is_allowed(item, role) for item in cast("tuple[object, ...]", value))
    if role == _PRIVATE and attrs.has(kind):
        frozen = cast(object, kind.__setattr__) is _Frozen.__setattr__
        return frozen and all(_is_allowed(getattr(value, f.name), role) for f in attrs.fields(kind))
    return False


_ALLOWED = {
    None: "None, or exactly a bool, int, bytes, str or tuple of these",
    _PUBLIC: f"an int from 0 to {P - 1}, or a tuple of such ints",
    _PRIVATE: "None, or exactly a bool, int, bytes, str, tuple of these, or a frozen attrs instance",
}
_SIMPLE_TYPES = {kind.__name__: kind for kind in (int, bool, bytes, str)}


def _with_checks(_cls: type, fields: list[attrs.Attribute[Any]]) -> list[attrs.Attribute[Any]]:
    """Every field gets a validator: the kind of value, then the user's own one."""
    return [f if getattr(f, "inherited", False) else f.evolve(validator=_checked(f)) for f in fields]


def _checked(field: attrs.Attribute[Any]) -> Validator:
    role = _role(field)
    own = field.validator
    # Annotations may be strings. Only the plainest are looked at: the rest are the user's validators' affair.
    expected = _SIMPLE_TYPES.get(getattr(field.type, "__name__", str(field.type)))

    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        allowed = None
        cause: Exception | None = None
        if expected is not None and type(value) is not expected:
            allowed = f"exactly {'an' if expected is int else 'a'} {expected.__name__}"
        elif not _is_allowed(value, role):
            allowed = _ALLOWED[role]
        elif own is not None:
            try:
                own(instance, attribute, value)
            except AproverError as error:
                if role != _PRIVATE:
                    raise
                allowed = getattr(error, "allowed", None) or "what its validator accepts"
            except (ValueError, TypeError) as error:
                allowed, cause = (str(error), error) if role != _PRIVATE else ("what its validator accepts", None)
        if allowed is None:
            return
        # Outside the except blocks, so that a private value does not hang on as the error's context.
        if role == _PRIVATE:
            raise ProgramError(
                f"the private field {attribute.name!r} is not allowed; allowed: {allowed}",
                field=attribute.name,
                allowed=allowed,
            )
        raise ProgramError(field=attribute.name, value=value, allowed=allowed) from cause

    check.own = own  # type: ignore[attr-defined] # functions may have attributes
    return check
