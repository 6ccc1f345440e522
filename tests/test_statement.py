from __future__ import annotations

import pickle
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aprover.errors import ProgramError, ProofFormatError, VerificationCode
from aprover.statement import MAX_DEPTH, MAX_STATEMENT_BYTES, Statement, StatementForm

leaves = st.none() | st.booleans() | st.integers() | st.integers(-(2**600), 2**600) | st.binary() | st.text()
# Three levels of tuples at most come from here, well within MAX_DEPTH.
values = leaves | st.lists(leaves | st.lists(leaves, max_size=3).map(tuple), max_size=3).map(tuple)
statements = st.builds(
    Statement,
    program=st.text(),
    parameters=st.lists(st.tuples(st.text(), values), max_size=3).map(tuple),
    public_inputs=st.lists(values, max_size=3).map(tuple),
    public_outputs=st.lists(values, max_size=3).map(tuple),
)


def nested(depth: int) -> Any:
    value: Any = 7
    for _ in range(depth):
        value = (value,)
    return value


def typed(value: Any) -> Any:
    """The value with its types, since True == 1."""
    return tuple(map(typed, value)) if isinstance(value, tuple) else (type(value), value)


def fields(statement: Statement) -> Any:
    return typed((statement.program, statement.parameters, statement.public_inputs, statement.public_outputs))


EMPTY_TUPLE = bytes([6, 0, 0, 0, 0])
EMPTY_STR = bytes([5, 0, 0, 0, 0])


def with_output(encoded: bytes) -> bytes:
    """A statement whose single public output has these bytes."""
    return EMPTY_STR + EMPTY_TUPLE + EMPTY_TUPLE + bytes([6, 1, 0, 0, 0]) + encoded


def rejected(data: bytes) -> str:
    with pytest.raises(ProofFormatError) as caught:
        Statement.from_bytes(data)
    assert caught.value.code is VerificationCode.ENVELOPE
    return str(caught.value)


class TestRoundTrip:
    @given(statements)
    def test_bytes_give_back_the_statement(self, statement: Statement) -> None:
        """Decoding inverts encoding, types included."""
        twin = Statement.from_bytes(statement.to_bytes())
        assert fields(twin) == fields(statement)
        assert twin == statement and hash(twin) == hash(statement)

    @given(statements)
    def test_pickle_gives_back_the_statement(self, statement: Statement) -> None:
        """Statements pickle."""
        assert pickle.loads(pickle.dumps(statement)) == statement

    @given(statements, statements)
    def test_equality_is_equality_of_bytes(self, left: Statement, right: Statement) -> None:
        """Two statements are equal exactly if all their values are, types included."""
        assert (left == right) == (left.to_bytes() == right.to_bytes()) == (fields(left) == fields(right))

    def test_true_and_one_are_different(self) -> None:
        """Python's `True == 1` must not let one claim pass for another."""
        assert Statement("p", (), (True,), ()) != Statement("p", (), (1,), ())

    def test_the_encoding_is_the_specified_one(self) -> None:
        """Every kind of value, written out by hand after docs/protocol.md, section 11."""
        statement = Statement("ab", (("n", 258),), (None, False, True, -1), (0, b"\xff", "é"))
        assert statement.to_bytes() == bytes.fromhex(
            "05 02 00 00 00 61 62"
            "06 01 00 00 00 06 02 00 00 00 05 01 00 00 00 6e 03 00 02 00 02 01"
            "06 04 00 00 00 00 01 02 03 01 01 00 01"
            "06 03 00 00 00 03 00 00 00 04 01 00 00 00 ff 05 02 00 00 00 c3 a9"
        )

    @given(st.integers(min_value=1, max_value=MAX_DEPTH - 1))
    def test_nesting_up_to_the_limit_is_allowed(self, depth: int) -> None:
        """The tuple of outputs is the first of eight levels."""
        statement = Statement("p", (), (), (nested(depth),))
        assert Statement.from_bytes(statement.to_bytes()).public_outputs == (nested(depth),)


class TestForms:
    @given(statements)
    def test_a_form_that_is_filled_in_is_the_statement(self, statement: Statement) -> None:
        """With the same bytes and values, and as immutable and picklable."""
        form = StatementForm(statement.program, statement.parameters)
        filled = form.fill(statement.public_inputs, statement.public_outputs)
        assert filled.to_bytes() == statement.to_bytes()
        assert fields(filled) == fields(statement)
        assert filled == statement and hash(filled) == hash(statement)
        assert fields(pickle.loads(pickle.dumps(filled))) == fields(statement)

    def test_what_has_no_encoding_is_refused_where_it_stands(self) -> None:
        """The shared part when the form is made, the rest when it is filled in."""
        with pytest.raises(ProgramError) as caught:
            StatementForm("p", (("n", 1.5),))  # type: ignore[arg-type]
        assert caught.value.field == "parameters"
        for inputs, outputs, field in (((1.5,), (), "public_inputs"), ((), (1.5,), "public_outputs")):
            with pytest.raises(ProgramError) as caught:
                StatementForm("p", ()).fill(inputs, outputs)  # type: ignore[arg-type]
            assert caught.value.field == field

    def test_the_size_is_bounded(self) -> None:
        """Of the whole, not of the part that is filled in."""
        form = StatementForm("p", (("data", bytes(MAX_STATEMENT_BYTES - 1000)),))
        form.fill((), (bytes(500),))
        with pytest.raises(ProgramError, match="at most"):
            form.fill((), (bytes(1000),))
        with pytest.raises(ProgramError, match="at most"):
            form.fill((), tuple(range(1000)))


class TestRefusedWhenBuilt:
    @pytest.mark.parametrize(
        "outputs",
        [(1.5,), ([1],), (nested(MAX_DEPTH),), (1 << (8 * 65535),), ("\ud800",), (bytearray(b"x"),), [1], (object(),)],
    )
    def test_a_value_without_an_encoding_is_a_program_error(self, outputs: Any) -> None:
        """The error names the field."""
        with pytest.raises(ProgramError) as caught:
            Statement("p", (), (), outputs)
        assert caught.value.field == "public_outputs"

    @pytest.mark.parametrize("parameters", [(("n",),), ((1, 2),), ("n",), (["n", 1],)])
    def test_parameters_are_pairs_of_name_and_value(self, parameters: Any) -> None:
        """Anything else is refused."""
        with pytest.raises(ProgramError) as caught:
            Statement("p", parameters, (), ())
        assert caught.value.field == "parameters"

    def test_the_size_is_bounded(self) -> None:
        """What `from_bytes` would refuse cannot be built."""
        Statement("p", (), (), (bytes(MAX_STATEMENT_BYTES - 100),))
        for size in (MAX_STATEMENT_BYTES - 10, MAX_STATEMENT_BYTES + 1):
            with pytest.raises(ProgramError, match="at most"):
                Statement("p", (), (), (bytes(size),))


class TestRefusedWhenDecoded:
    @given(st.binary())
    def test_random_bytes_are_rejected_or_canonical(self, data: bytes) -> None:
        """Whatever decodes encodes to the same bytes; the rest is ENVELOPE and never a crash."""
        try:
            statement = Statement.from_bytes(data)
        except ProofFormatError as error:
            assert error.code is VerificationCode.ENVELOPE
        else:
            assert statement.to_bytes() == data

    @given(statements, st.data())
    def test_a_changed_byte_is_never_the_same_statement(self, statement: Statement, data: st.DataObject) -> None:
        """One statement has one encoding."""
        changed = bytearray(statement.to_bytes())
        position = data.draw(st.integers(0, len(changed) - 1))
        changed[position] ^= data.draw(st.integers(1, 255))
        try:
            twin = Statement.from_bytes(bytes(changed))
        except ProofFormatError:
            return
        assert twin != statement and twin.to_bytes() == bytes(changed)

    @given(statements)
    def test_every_truncation_and_any_extension_is_rejected(self, statement: Statement) -> None:
        """A statement's bytes are a prefix of no other's."""
        data = statement.to_bytes()
        for end in range(len(data)):
            rejected(data[:end])
        assert "follow" in rejected(data + b"\0")

    @pytest.mark.parametrize(
        "encoded",
        [
            bytes([3, 0, 1, 0, 0]),  # zero with a byte
            bytes([3, 0, 2, 0, 1, 0]),  # a leading zero byte
            bytes([3, 1, 0, 0]),  # minus zero
            bytes([3, 2, 1, 0, 1]),  # a sign that is neither
            bytes([5, 1, 0, 0, 0, 0xFF]),  # not UTF-8
            bytes([5, 2, 0, 0, 0, 0xC0, 0x80]),  # overlong UTF-8
            bytes([5, 3, 0, 0, 0, 0xED, 0xA0, 0x80]),  # a surrogate
            bytes([7]),  # no such kind
        ],
    )
    def test_non_canonical_values_are_rejected(self, encoded: bytes) -> None:
        """Each value has one encoding."""
        rejected(with_output(encoded))

    def test_deep_nesting_is_rejected_without_recursion(self) -> None:
        """A megabyte of opening tuples ends at the depth limit."""
        one = bytes([6, 1, 0, 0, 0])
        Statement.from_bytes(with_output(one * (MAX_DEPTH - 1) + b"\0"))
        assert "nest" in rejected(with_output(one * MAX_DEPTH + b"\0"))
        assert "nest" in rejected(with_output(one * 200_000))

    @pytest.mark.parametrize("kind", [4, 5, 6])
    def test_a_length_that_the_bytes_do_not_justify_allocates_nothing(self, kind: int) -> None:
        """A four-gigabyte promise in a short statement is refused at once."""
        data = with_output(bytes([kind, 255, 255, 255, 255]) + bytes(100))
        tracemalloc.start()
        try:
            rejected(data)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 100_000

    @pytest.mark.parametrize("bad", [b"\0" + EMPTY_TUPLE * 3, EMPTY_STR + b"\0" + EMPTY_TUPLE * 2])
    def test_the_outer_values_have_their_types(self, bad: bytes) -> None:
        """The program is a string, and the rest are tuples."""
        rejected(bad)

    def test_more_than_the_limit_is_rejected_unread(self) -> None:
        """The size is checked first."""
        assert "more than" in rejected(bytes(MAX_STATEMENT_BYTES + 1))


class TestShown:
    def test_a_huge_integer_can_be_shown(self) -> None:
        """Python refuses to print it; a statement must still be loggable."""
        statement = Statement("p", (("n", 5),), (), (1 << 50_000,))
        assert "n=5" in repr(statement)
        assert "50001 bits" in repr(statement)
