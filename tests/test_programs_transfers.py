"""The ledger: right transfers prove, and no wrong ones do."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from aprover.air.check import check, check_trace, fill_trace
from aprover.air.field import P
from aprover.air.program import describe
from aprover.errors import ConstraintError, ProgramError, VerificationCode
from aprover.programs import Transfers
from aprover.programs.poseidon2 import compress
from aprover.programs.transfers import BALANCE_BITS
from aprover.testing import find_underconstrained

from .support.proving import assert_both_reject, proved_and_verified

SALT = (11, 12, 13, 14, 15, 16, 17)
SMALL = Transfers((100, 20, 3), ((0, 1, 50), (1, 2, 70), (2, 2, 5), (0, 0, 50), (0, 2, 50)), SALT)


def large(accounts: int, count: int) -> Transfers:
    source = random.Random(accounts + count)
    balances = tuple(source.randrange(1000, 5000) for _ in range(accounts))
    moves = [(source.randrange(accounts), source.randrange(accounts), source.randrange(4)) for _ in range(count)]
    return Transfers(balances, tuple(moves), SALT)


def root(balances: list[int]) -> tuple[int, ...]:
    """By the definition."""
    nodes: list[tuple[int, ...]] = [(balance, *SALT) for balance in balances]
    while len(nodes) > 1:
        nodes = [compress(*nodes[i : i + 2]) for i in range(0, len(nodes), 2)]
    return nodes[0]


class TestStatement:
    def test_roots(self) -> None:
        """Those before and after, over the balances filled up by empty accounts."""
        assert SMALL.public_outputs() == root([100, 20, 3, *[0] * 5]) + root([0, 0, 123, *[0] * 5])
        assert Transfers.root((100, 20, 3), SALT) == SMALL.public_outputs()[:8]

    def test_only_powers_of_two_are_public(self) -> None:
        """Neither balances nor transfers, nor how many there are."""
        statement = SMALL.statement()
        assert statement.parameters == (("accounts", 8), ("capacity", 8))
        assert statement.public_inputs == ()
        assert "100" not in repr(SMALL)

    def test_no_transfers(self) -> None:
        """The roots are equal then."""
        program = Transfers((5,), (), SALT)
        check(program)
        assert program.public_outputs()[:8] == program.public_outputs()[8:]

    def test_random_salt(self) -> None:
        """Seven elements, other ones each time."""
        assert len({Transfers.random_salt() for _ in range(5)}) == 5
        assert all(len(Transfers.random_salt()) == 7 for _ in range(5))


class TestProofs:
    @pytest.mark.parametrize(
        "program", [SMALL, Transfers((5,), (), SALT), large(20, 100)], ids=lambda p: str(p.capacity)
    )
    def test_both_verifiers_accept(self, program: Transfers) -> None:
        """And no other root."""
        proof = proved_and_verified(program)
        outputs = list(program.public_outputs())
        outputs[9] = (outputs[9] + 1) % P
        assert_both_reject(proof, Transfers, VerificationCode.QUOTIENT, public_outputs=tuple(outputs))

    @given(st.data())
    @settings(max_examples=15, deadline=None)
    def test_every_ledger_has_a_trace(self, data: st.DataObject) -> None:
        """Payments to oneself, of nothing and of everything."""
        count = data.draw(st.integers(1, 9))
        balances = data.draw(st.lists(st.integers(0, 50), min_size=count, max_size=count))
        current, moves = list(balances), []
        for _ in range(data.draw(st.integers(0, 10))):
            payer, payee = data.draw(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)))
            amount = data.draw(st.integers(0, current[payer]) | st.just(current[payer]))
            current[payer] -= amount
            current[payee] += amount
            moves.append((payer, payee, amount))
        program = Transfers(tuple(balances), tuple(moves), SALT)
        check(program)
        assert program.public_outputs()[8:] == Transfers.root(current, SALT)

    def test_large(self) -> None:
        """A thousand transfers, by limbs that are looked up."""
        check(large(100, 1000))

    @pytest.mark.parametrize("program", [SMALL, large(16, 200)], ids=lambda p: str(p.capacity))
    def test_nothing_is_free(self, program: Transfers) -> None:
        """Constraints and buses notice every changed cell."""
        assert find_underconstrained(program, columns=None) == ()


def rejected(change: Any, program: Transfers = SMALL) -> ConstraintError:
    """What `check` says of a changed trace, with the columns that the builder fills made for it."""
    air = program.compiled()
    publics = air.publics(program.statement())
    tables = [np.ascontiguousarray(trace.T) for trace in fill_trace(program)]
    change({table.name: array.T for table, array in zip(air.tables, tables, strict=True)})
    air.filling.complete(tables, publics)
    with pytest.raises(ConstraintError) as caught:
        check_trace(describe(program), air, [table.T for table in tables], publics)
    return caught.value


class Careless(Transfers):
    """Carries out everything."""

    id = "careless transfers"

    def _carried_out(self) -> list[int]:
        balances = [*self.balances, *[0] * (self.accounts - len(self.balances))]
        for payer, payee, amount in self.transfers:
            balances[payer] -= amount
            balances[payee] += amount
        return [balance % P for balance in balances]


class TestLies:
    @pytest.mark.parametrize(
        ("balances", "transfer", "name"),
        [
            ((100, 20), (0, 1, -5), "amount"),
            ((100, 20), (0, 1, 150), "what the payer keeps"),
            ((1, (1 << BALANCE_BITS) - 1), (0, 1, 1), "what the payee has"),
        ],
    )
    def test_impossible_amounts(self, balances: Any, transfer: Any, name: str) -> None:
        """Taken from the payee, more than there was, or too much to hold: one check notices, and nothing else."""
        with pytest.raises(ConstraintError) as caught:
            check(Careless(balances, (transfer,), SALT))
        first, *others = str(caught.value).splitlines()
        assert first.startswith(f"range check {name!r} fails at row 0")
        assert not any("bus" in line or "constraint" in line for line in others)

    def test_money_from_nowhere(self) -> None:
        """The sum is kept, as the payee gets what the payer gives."""

        def change(out: dict[str, NDArray[np.uint32]]) -> None:
            out["main"][0, 6] = 21

        assert "bus 'state'" in str(rejected(change))

    def test_spending_twice(self) -> None:
        """The balance of before a transfer is taken once."""

        def change(out: dict[str, NDArray[np.uint32]]) -> None:
            out["main"][3] = out["main"][0]
            out["main"][3, 0] = 7

        assert "bus 'state'" in str(rejected(change))

    def test_a_balance_of_the_future(self) -> None:
        """Two accesses that take each other's balances would make money: what is taken is older."""
        program = Transfers((100,), (), SALT)

        def change(out: dict[str, NDArray[np.uint32]]) -> None:
            # An account that there is not: its payer takes what its payee puts later in the same row, out of nothing.
            out["main"][7, 1:8] = (999, 999, 0, 77, 16, 77, 15)
            out["accounts"][0, 2] = 14

        error = rejected(change, program)
        assert "age of the payer's balance" in str(error)
        assert "bus 'state'" not in str(error)

        def take_from_itself(out: dict[str, NDArray[np.uint32]]) -> None:
            out["main"][7, [2, 6, 7]] = (999, 77, 16)
            out["accounts"][0, 2] = 15

        error = rejected(take_from_itself, program)
        assert "age of the payee's balance" in str(error)
        assert "bus 'state'" not in str(error)

    def test_a_first_balance_that_is_none(self) -> None:
        """Less than nothing, of an account that takes part in no transfer."""
        program = Transfers((100, 1), (), SALT)
        program.__dict__["balances"] = (100, P - 5)
        with pytest.raises(ConstraintError) as caught:
            check(program)
        assert str(caught.value).startswith("range check 'before' fails at row 1")
        assert "bus" not in str(caught.value)

    def test_another_balance_in_a_leaf(self) -> None:
        """The roots are over the balances that the transfers start from and lead to."""
        for column in (0, 1):

            def change(out: dict[str, NDArray[np.uint32]], column: int = column) -> None:
                out["accounts"][1, column] += 1

            text = str(rejected(change))
            assert "bus 'state'" in text
            assert "bus 'nodes'" in text

    def test_another_tree(self) -> None:
        """A node that is not the digest of its children, or children that are not there."""

        def change(out: dict[str, NDArray[np.uint32]]) -> None:
            out["hashes"][3, -1] += 1

        assert "compress 7" in str(rejected(change))


class TestRefusals:
    @pytest.mark.parametrize(
        ("transfers", "text"),
        [
            (((0, 1, 101),), "transfer 0 takes more"),
            (((0, 1, 50), (0, 1, 51)), "transfer 1 takes more"),
            (((0, 1, -1),), "transfer 0 takes more"),
            (((0, 3, 1),), "transfer 0 is between accounts that there are not"),
            (((-1, 0, 1),), "transfer 0 is between accounts that there are not"),
        ],
    )
    def test_impossible_transfers(self, transfers: Any, text: str) -> None:
        """The error says which one, and no balance."""
        with pytest.raises(ProgramError, match=text) as caught:
            Transfers((100, 20, 3), transfers, SALT)
        assert caught.value.field == "transfers"
        assert "100" not in str(caught.value)

    def test_a_balance_too_large(self) -> None:
        """It would no longer be told from a negative one."""
        top = (1 << BALANCE_BITS) - 1
        with pytest.raises(ProgramError, match="transfer 0 makes a balance too large"):
            Transfers((top, 1), ((1, 0, 1),), SALT)

    @pytest.mark.parametrize(
        ("field", "arguments"),
        [
            ("balances", ((), (), SALT)),
            ("balances", ((1 << BALANCE_BITS,), (), SALT)),
            ("balances", ((-1,), (), SALT)),
            ("balances", ((0,) * 1025, (), SALT)),
            ("balances", ([1], (), SALT)),
            ("transfers", ((1,), ((0, 0),), SALT)),
            ("transfers", ((1,), ((0, 0, 1.0),), SALT)),
            ("transfers", ((1,), ((0, 0, 0),) * (2**16 + 1), SALT)),
            ("salt", ((1,), (), SALT[:6])),
            ("salt", ((1,), (), (*SALT[:6], P))),
        ],
    )
    def test_bad_input(self, field: str, arguments: Any) -> None:
        """The error names the field."""
        with pytest.raises(ProgramError) as caught:
            Transfers(*arguments)
        assert caught.value.field == field
