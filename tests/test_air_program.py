"""`Program`: its fields, its statement, its cached AIR, and how a verifier finds it again."""

from __future__ import annotations

import pickle
from typing import Any, ClassVar, cast

import attrs
import pytest

from aprover.air import AirBuilder, Params, Program, compile_program, private, program_from_statement, public
from aprover.air.field import P
from aprover.air.program import shipped
from aprover.air.validators import field_elements, integer
from aprover.errors import AproverError, ProgramError, VerificationCode, VerificationError
from aprover.programs import Fibonacci, Poseidon2Chain
from aprover.statement import Statement, Value

from .programs_for_tests import SAMPLES, SEED, Tribonacci


@attrs.frozen
class Witness:
    path: tuple[int, ...]


@attrs.define
class Mutable:
    path: tuple[int, ...]


class Everything(Program):
    """Has fields of every role."""

    n: int = 8
    label: str = "x"
    points: tuple[Value, ...] = ()
    a: int = public(default=1)
    pair: tuple[int, ...] = public(default=(2, 3), validator=field_elements(2))
    secret: object = private(default=None)

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        b.rows(params.n)
        x = b.column("x")
        b.assert_equal(x.next, x + b.public("a") * b.public("pair", 0) + len(params.label), name="step")
        b.boundary(x, 0, b.public("pair", 1))
        b.boundary(x, 1, b.output(0))

    def trace(self, out: Any) -> None:
        for row in range(len(out)):
            out[row, 0] = (self.pair[1] + row * (self.a * self.pair[0] + len(self.label))) % P

    def public_outputs(self) -> tuple[int, ...]:
        return ((self.pair[1] + self.a * self.pair[0] + len(self.label)) % P,)


class TestClasses:
    def test_becomes_a_frozen_attrs_class(self) -> None:
        """Fields are keywords or positions, with defaults; instances do not change."""
        program = Everything(16, a=5)
        assert attrs.has(Everything)
        assert (program.n, program.label, program.a, program.pair) == (16, "x", 5, (2, 3))
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            program.n = 3  # type: ignore[misc]

    def test_subclasses_inherit_fields(self) -> None:
        """In the order of declaration, each with its role and checks."""

        class More(Tribonacci):
            extra: int = public(default=0)

        assert [f.name for f in attrs.fields(cast(Any, More))] == ["n", "seed", "extra"]
        assert "seed" not in repr(More(5, 6))
        with pytest.raises(ProgramError):
            More("5")  # type: ignore[arg-type]

    def test_id(self) -> None:
        """By default module and qualified name; never inherited, since another class has other constraints."""

        class Named(Fibonacci):
            id: ClassVar[str] = "named"

        class Unnamed(Named):
            pass

        assert Fibonacci.id == "fibonacci"
        assert Tribonacci.id == "tests.programs_for_tests:Tribonacci"
        assert Named.id == "named"
        assert Unnamed.id == f"{__name__}:TestClasses.test_id.<locals>.Unnamed"

    @pytest.mark.parametrize("name", ["air", "trace", "statement", "compiled", "_hidden", "native_trace"])
    def test_reserved_field_names(self, name: str) -> None:
        """A field cannot take a name that Program uses."""
        with pytest.raises(ProgramError, match=f"field name '{name}'"):
            type("Bad", (Program,), {"__annotations__": {name: "int"}, "__module__": __name__})

    def test_another_trace_is_not_made_in_c(self) -> None:
        """A subclass that overrides trace or air does not inherit the C trace generator."""

        class OtherTrace(Fibonacci):
            def trace(self, out: Any) -> None:
                super().trace(out)

        class SameTrace(Fibonacci):
            pass

        assert Fibonacci(5).native_trace() == (1, (0, 1))
        assert SameTrace(5).native_trace() == (1, (0, 1))
        assert OtherTrace(5).native_trace() is None

    def test_methods_that_are_missing(self) -> None:
        """A program without air or trace says so."""

        class Empty(Program):
            n: int = 1

        with pytest.raises(ProgramError, match="Empty does not define air"):
            Empty().compiled()
        with pytest.raises(ProgramError, match="Empty does not define trace"):
            Empty().trace(None)


class TestEquality:
    def test_by_class_and_all_fields(self) -> None:
        """Parameters, public and private fields all count; so does the class."""
        assert Everything() == Everything()
        assert hash(Everything()) == hash(Everything())
        for other in (Everything(9), Everything(a=2), Everything(pair=(2, 4)), Everything(secret=1), Fibonacci(8)):
            assert Everything() != other

        class Twin(Everything):
            pass

        assert Twin() != Everything()
        assert Everything() != "x"

    @pytest.mark.parametrize(
        ("left", "right"),
        [
            (True, 1),
            (0, False),
            ((True,), (1,)),
            (((1,),), ((True,),)),
            (b"x", "x"),
            (None, 0),
            ((), None),
            (Witness((1,)), Witness((True,))),
            (Witness((1,)), (1,)),
        ],
        ids=repr,
    )
    def test_is_exact(self, left: Any, right: Any) -> None:
        """Values that Python calls equal although their types differ are different, however deep."""
        assert Everything(secret=left) != Everything(secret=right)
        assert len({Everything(secret=left), Everything(secret=right)}) == 2

    def test_pickles(self) -> None:
        """With all fields, and without what was cached: hashes differ from process to process."""
        program = Everything(secret=Witness((1, 2)))
        hash(program)
        program.statement()
        again = pickle.loads(pickle.dumps(program))
        assert again == program
        assert again.secret == Witness((1, 2))
        assert set(vars(pickle.loads(pickle.dumps(program)))) == {f.name for f in attrs.fields(cast(Any, Everything))}


class TestFields:
    @pytest.mark.parametrize(
        "value",
        [[1], {1}, 1.5, pytest.param(object(), id="an object"), (1, [2]), Witness((1,)), bytearray(b"x")],
        ids=repr,
    )
    def test_parameters_are_immutable_values(self, value: Any) -> None:
        """Anything that a statement cannot hold is refused, with field, value and what is allowed."""
        with pytest.raises(ProgramError, match="points = ") as caught:
            Everything(points=value)
        assert (caught.value.field, caught.value.value) == ("points", value)
        assert caught.value.allowed is not None

    @pytest.mark.parametrize("value", ["5", 5.0, True, None])
    def test_plain_annotations_are_enforced(self, value: Any) -> None:
        """A field annotated int takes exactly an int: a bool would be another statement."""
        with pytest.raises(ProgramError, match=r"n = .*; allowed: exactly an int"):
            Everything(n=value)

    @pytest.mark.parametrize("value", [-1, P, "1", None, 2**70, (1,), True])
    def test_public_inputs_are_field_elements(self, value: Any) -> None:
        """An int in [0, P)."""
        with pytest.raises(ProgramError, match="a = ") as caught:
            Everything(a=value)
        assert caught.value.field == "a"

    @pytest.mark.parametrize("value", [[1, 2], (1,), (1, P), (1, "2"), (1, True), 5])
    def test_public_tuples_hold_field_elements(self, value: Any) -> None:
        """Of the length that the validator wants."""
        with pytest.raises(ProgramError, match="pair"):
            Everything(pair=value)

    @pytest.mark.parametrize("value", [Mutable((1,)), [1], 1.5, (1, [2]), Witness([1])])  # type: ignore[arg-type]
    def test_private_fields_are_immutable_too(self, value: Any) -> None:
        """Frozen attrs instances are allowed, as far as what they hold is; the error does not show the value."""
        assert Everything(secret=Witness((1, 2))).secret == Witness((1, 2))
        with pytest.raises(ProgramError, match="the private field 'secret' is not allowed") as caught:
            Everything(secret=value)
        assert caught.value.value is None

    def test_errors_of_user_validators(self) -> None:
        """ValueError and TypeError become a ProgramError with field and value; private values stay out of it."""

        class Even(Program):
            n: int = attrs.field(default=2, validator=attrs.validators.ge(2))
            secret: int = private(default=2, validator=attrs.validators.ge(2))
            other: int = private(default=2, validator=integer(2, 5))

        with pytest.raises(ProgramError, match="n = 1 is not allowed; allowed: 'n' must be >= 2") as caught:
            Even(1)
        assert (caught.value.field, caught.value.value) == ("n", 1)
        for keywords in ({"secret": -987654321}, {"other": 987654321}):
            with pytest.raises(ProgramError, match="private field") as hidden:
                Even(**keywords)
            seen: BaseException | None = hidden.value
            while seen is not None:
                assert "987654321" not in repr(seen) + str(vars(seen))
                seen = seen.__context__

    def test_repr_hides_private_fields(self) -> None:
        """And shows the others."""
        assert repr(Everything(secret=424242)) == "Everything(n=8, label='x', points=(), a=1, pair=(2, 3))"


class TestParams:
    def test_holds_the_parameters_only(self) -> None:
        """Reading a public or private field explains why it is not there."""
        seen: list[Any] = []

        class Peeking(Everything):
            @classmethod
            def air(cls, b: AirBuilder, params: Any) -> None:
                seen.append(params)
                super().air(b, params)

        Peeking(9, "abc").compiled()
        (params,) = seen
        assert (params.n, params.label, params.points) == (9, "abc", ())
        with pytest.raises(AttributeError, match=r"'a' is a public input: constraints read it as b.public\('a'\)"):
            _ = params.a
        with pytest.raises(AttributeError, match="'secret' is private"):
            _ = params.secret
        with pytest.raises(AttributeError, match="no parameter 'm'; there are: n, label, points"):
            _ = params.m

    def test_equality(self) -> None:
        """By program and by exact values, since they are the key of the cache."""
        assert Params(Everything, {"n": 1}) == Params(Everything, {"n": 1})
        assert Params(Everything, {"n": 1}) != Params(Everything, {"n": True})
        assert Params(Everything, {"n": 1}) != Params(Fibonacci, {"n": 1})


class TestStatement:
    def test_says_all_but_the_private(self) -> None:
        """Program id, parameters with names, public inputs and outputs, in order; made once."""
        program = Everything(secret=3)
        statement = program.statement()
        assert statement == Statement(
            program=Everything.id,
            parameters=(("n", 8), ("label", "x"), ("points", ())),
            public_inputs=(1, (2, 3)),
            public_outputs=(6,),
        )
        assert program.statement() is statement
        assert Everything(secret=4).statement() == statement

    @pytest.mark.parametrize("outputs", [(1, 2), (), [1], 1, (P,), (-1,), (True,), (1.0,), None, ("1",)])
    def test_outputs_must_fit_the_constraints(self, outputs: Any) -> None:
        """An output that no constraint reads, one too few, or one that is not a field element is an error."""

        class Wrong(Everything):
            def public_outputs(self) -> tuple[int, ...]:
                return outputs  # type: ignore[no-any-return]

        with pytest.raises(ProgramError, match=r"public output|public_outputs"):
            Wrong().statement()

    def test_public_tuples_must_fit_the_constraints(self) -> None:
        """An element of a public tuple that no constraint reads is an error too."""

        class Loose(Program):
            pair: tuple[int, ...] = public()

            @classmethod
            def air(cls, b: AirBuilder, params: Any) -> None:  # noqa: ARG003
                b.rows(8)
                b.boundary(b.column("x"), 0, b.public("pair", 0))

        assert Loose((4,)).statement().public_inputs == ((4,),)
        for wrong in ((4, 5), (), 4):
            with pytest.raises(ProgramError, match="pair"):
                Loose(wrong).statement()  # type: ignore[arg-type]

    @pytest.mark.parametrize("program", SAMPLES, ids=str)
    def test_public_values_follow_the_spec(self, program: Program) -> None:
        """The vector of public values has inputs first, then outputs, each where public_spec says."""
        air, statement = program.compiled(), program.statement()
        values = dict(zip(air.public_spec, air.publics(statement), strict=True))
        for i, output in enumerate(statement.public_outputs):
            assert values.pop(("output", i)) == output
        for (_, name, index), value in values.items():  # type: ignore[misc]
            field = getattr(program, name)
            assert (field if index is None else field[index]) == value


class TestCompiled:
    def test_is_cached_by_class_and_parameters(self) -> None:
        """Public and private fields do not shape the AIR."""
        air = Everything(8, secret=1).compiled()
        assert Everything(8, a=7, pair=(9, 9), secret=2).compiled() is air
        assert compile_program(Everything, {"n": 8, "label": "x", "points": ()}) is air
        assert Everything(9).compiled() is not air
        assert Everything(points=(1,)).compiled() is not Everything(points=(True,)).compiled()

        class Twin(Everything):
            pass

        assert Twin(8).compiled() is not air

    def test_failures_are_not_cached(self) -> None:
        """A program that failed once is tried again."""
        calls: list[int] = []

        class Flaky(Fibonacci):
            @classmethod
            def air(cls, b: AirBuilder, params: Any) -> None:
                calls.append(1)
                if len(calls) == 1:
                    raise ProgramError("the first time")
                super().air(b, params)

        with pytest.raises(ProgramError, match="the first time"):
            Flaky(5).compiled()
        assert Flaky(5).compiled().columns == 2


class TestFromStatement:
    @pytest.mark.parametrize("program", SAMPLES, ids=str)
    def test_gives_the_same_air(self, program: Program) -> None:
        """A verifier that knows the class gets the prover's AIR from the statement."""
        air, cls = program_from_statement(Statement.from_bytes(program.statement().to_bytes()), type(program))
        assert air is program.compiled()
        assert cls is type(program)

    def test_finds_shipped_programs(self) -> None:
        """By their short ids."""
        assert program_from_statement(Fibonacci(7).statement())[1] is Fibonacci
        assert program_from_statement(Poseidon2Chain(SEED, 2).statement())[1] is Poseidon2Chain

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"program": "fibonacci2"}, "PROGRAM"),
            ({"program": Tribonacci.id}, "PROGRAM"),
            ({"parameters": ()}, "PROGRAM"),
            ({"parameters": (("m", 7),)}, "PROGRAM"),
            ({"parameters": (("n", 7), ("n", 7))}, "PROGRAM"),
            ({"parameters": (("n", 7), ("a", 0))}, "PROGRAM"),
            ({"parameters": (("n", 0),)}, "PROGRAM"),
            ({"parameters": (("n", 2**22 + 1),)}, "PROGRAM"),
            ({"parameters": (("n", True),)}, "PROGRAM"),
            ({"parameters": (("n", "7"),)}, "PROGRAM"),
            ({"public_inputs": (0,)}, "STATEMENT"),
            ({"public_inputs": (0, 1, 2)}, "STATEMENT"),
            ({"public_inputs": (0, P)}, "STATEMENT"),
            ({"public_inputs": (0, (1,))}, "STATEMENT"),
            ({"public_inputs": (0, None)}, "STATEMENT"),
            ({"public_inputs": (0, True)}, "STATEMENT"),
        ],
        ids=str,
    )
    def test_refusals(self, changes: dict[str, Any], code: str) -> None:
        """Unknown programs, parameters and inputs that the program refuses; each with its code."""
        statement = Fibonacci(7).statement()
        fields = {
            name: getattr(statement, name) for name in ("program", "parameters", "public_inputs", "public_outputs")
        }
        with pytest.raises(VerificationError) as caught:
            program_from_statement(Statement(**{**fields, **changes}))
        assert caught.value.code is VerificationCode(code)

    @pytest.mark.parametrize(
        ("inputs", "outputs"),
        [
            ((0, 1), (13, 13)),
            ((0, 1), ()),
            ((0, 1), (P,)),
            ((0, 1), (True,)),
            ((0, 1), ((13,),)),
            ((0, -1), (13,)),
            ((0,), (13,)),
        ],
    )
    def test_public_values_that_do_not_fit(self, inputs: tuple[Value, ...], outputs: tuple[Value, ...]) -> None:
        """Too many, too few, not canonical, of another type: a value that nothing binds never passes."""
        statement = Statement(program="fibonacci", parameters=(("n", 7),), public_inputs=inputs, public_outputs=outputs)
        with pytest.raises(VerificationError) as caught:
            Fibonacci(7).compiled().publics(statement)
        assert caught.value.code is VerificationCode.STATEMENT

    def test_another_program_than_expected(self) -> None:
        """Given a class, a statement about another program is refused."""
        with pytest.raises(VerificationError) as caught:
            program_from_statement(Fibonacci(7).statement(), Tribonacci)
        assert caught.value.code is VerificationCode.PROGRAM

    def test_air_that_fails_on_hostile_parameters(self) -> None:
        """Whatever a user's air raises on parameters that no validator refused, the verifier rejects."""

        class Careless(Program):
            n: object = 1

            @classmethod
            def air(cls, b: AirBuilder, params: Any) -> None:
                b.rows(params.n + 1)
                b.boundary(b.column("x"), 0, 1)

        hostile = Statement(program=Careless.id, parameters=(("n", "a string"),), public_inputs=(), public_outputs=())
        with pytest.raises(VerificationError, match="TypeError") as caught:
            program_from_statement(hostile, Careless)
        assert caught.value.code is VerificationCode.PROGRAM

    def test_validators_see_no_private_field(self) -> None:
        """A verifier has none; private fields without defaults are no obstacle."""

        class Secret(Program):
            n: int
            key: int = private()

            @classmethod
            def air(cls, b: AirBuilder, params: Any) -> None:
                b.rows(params.n)
                b.boundary(b.column("x"), 0, 1)

        statement = Secret(8, 99).statement()
        assert program_from_statement(statement, Secret)[0] is Secret(8, 5).compiled()

    def test_ids_of_shipped_programs_are_unique(self) -> None:
        """A second class with a shipped id cannot replace the first."""

        class Impostor(Program):
            id: ClassVar[str] = "fibonacci"

        with pytest.raises(AproverError, match="belongs to Fibonacci"):
            shipped(Impostor)
        assert program_from_statement(Fibonacci(7).statement())[1] is Fibonacci
