"""A ledger: private transfers between accounts, with the roots before and after them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from ..air.builder import AirBuilder, Bus, TableBuilder
from ..air.field import P
from ..air.program import Program, private, shipped
from ..air.validators import field_elements, integer
from ..errors import ProgramError
from .poseidon2 import DIGEST, WIDTH, compress
from .poseidon2_row import COLUMNS, Permutation, fill

MAX_LOG_ACCOUNTS = 10
MAX_LOG_TRANSFERS = 16
BALANCE_BITS = 29
"""The sum of a balance and an amount stays below 2^30 < P, so that it does not wrap round."""
LEAST = 8
"""Accounts and transfers are filled up to a power of two from here."""

SALT = DIGEST - 1


def _capacity(count: int) -> int:
    """The least power of two that is at least `LEAST` and at least `count`."""
    return max(LEAST, 1 << (count - 1).bit_length())


def _balances(_instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    most = 1 << MAX_LOG_ACCOUNTS
    if type(value) is not tuple or not 1 <= len(value) <= most:
        raise ProgramError(field=attribute.name, allowed=f"a tuple of 1 to {most} balances")
    if not all(type(item) is int and 0 <= item < 1 << BALANCE_BITS for item in value):
        raise ProgramError(field=attribute.name, allowed=f"balances from 0 to 2**{BALANCE_BITS} - 1")


def _transfers(_instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    most = 1 << MAX_LOG_TRANSFERS
    if type(value) is not tuple or len(value) > most:
        raise ProgramError(field=attribute.name, allowed=f"a tuple of at most {most} transfers")
    for item in value:
        if type(item) is not tuple or len(item) != 3 or not all(type(part) is int for part in item):
            raise ProgramError(field=attribute.name, allowed="transfers (payer, payee, amount), each three ints")


def _length(name: str) -> Any:
    def count(instance: Any) -> int:
        value = getattr(instance, name)
        return _capacity(len(value)) if type(value) is tuple else 0

    return attrs.Factory(count, takes_self=True)


@shipped
class Transfers(Program):
    """Transfers were carried out that lead from the balances under one root to those under another.

    **Statement.** With the roots before and after, which are the outputs (8 elements each), and the parameters
    `accounts` and `capacity`: there are balances under the first root and at most `capacity` transfers (payer, payee,
    amount) that give, carried out one after the other, the balances under the second root; all balances and amounts are
    integers from 0 to 2**29 - 1 at all times. So nobody paid what was not there, and the sum of all balances is kept.

    **Root.** That of a Merkle tree of ``compress`` (see `poseidon2.compress`) whose leaf i is the balance of account i
    followed by a salt of seven elements. Two balances for one root are a collision.

    **Witness.** `balances`, `transfers` and `salt` are private: no statement, repr or error shows them. The accounts
    are filled up to a power of two by empty ones, and the transfers by some of nothing, so only these powers are
    public. The salt must be random (`random_salt`), or the root can be searched for. A proof that is not zero-knowledge
    may reveal parts of the trace.

    **Tables.** The first table has a transfer a row, `accounts` an account a row, `hashes` a node of the two trees a
    row. Two buses tie them together:

    - ``state`` carries (account, balance, time). Each account puts its first balance there, of time 0, and takes its
      last one. Each transfer takes the payer's balance and puts a new one of a later time, then the payee's. As every
      time is put once, and what is taken is older than what is put in its place, an account's balances form one chain
      in the order of time: nothing is spent twice.
    - ``nodes`` carries (tree, number of the node, digest). Accounts put the leaves there, and each row of `hashes`
      takes two nodes and puts the one above; the roots are boundary values.
    """

    id = "transfers"

    balances: tuple[int, ...] = private(validator=_balances)
    transfers: tuple[tuple[int, int, int], ...] = private(validator=_transfers)
    salt: tuple[int, ...] = private(validator=field_elements(SALT))
    accounts: int = attrs.field(
        init=False, default=_length("balances"), validator=integer(LEAST, 1 << MAX_LOG_ACCOUNTS)
    )
    capacity: int = attrs.field(
        init=False, default=_length("transfers"), validator=integer(LEAST, 1 << MAX_LOG_TRANSFERS)
    )

    def __attrs_post_init__(self) -> None:
        for name, value in (("accounts", self.accounts), ("capacity", self.capacity)):
            if value & (value - 1):
                raise ProgramError(field=name, value=value, allowed="a power of two")
        self._carried_out()

    @staticmethod
    def random_salt() -> tuple[int, ...]:
        """Seven elements from the system's source of randomness, for `salt`."""
        return tuple([secrets.randbelow(P) for _ in range(SALT)])

    @staticmethod
    def root(balances: Sequence[int], salt: Sequence[int]) -> tuple[int, ...]:
        """The root over these balances, filled up by empty accounts to a power of two from 8."""
        return tuple(_tree(balances, salt)[1])

    def _carried_out(self) -> list[int]:
        """The balances after all transfers.

        Raises:
            ProgramError: A transfer is impossible; it says which one, and no balance.
        """
        balances = [*self.balances, *[0] * (self.accounts - len(self.balances))]
        for i, (payer, payee, amount) in enumerate(self.transfers):
            wrong = None
            if not (0 <= payer < len(self.balances) and 0 <= payee < len(self.balances)):
                wrong, allowed = "is between accounts that there are not", "indices of balances"
            elif not 0 <= amount <= balances[payer]:
                wrong, allowed = "takes more than the payer has, or less than nothing", "amounts from 0 to the balance"
            elif payer != payee and balances[payee] + amount >> BALANCE_BITS:
                wrong, allowed = "makes a balance too large", f"balances from 0 to 2**{BALANCE_BITS} - 1"
            if wrong is not None:
                raise ProgramError(f"transfer {i} {wrong}", field="transfers", allowed=allowed)
            balances[payer] -= amount
            balances[payee] += amount
        return balances

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        state, nodes = b.bus("state", 3), b.bus("nodes", 2 + DIGEST)
        _transfer_rows(b, params.capacity, state)
        _account_rows(b.table("accounts"), params.accounts, state, nodes)
        _hash_rows(b.table("hashes"), params.accounts, nodes)

    def trace(self, out: dict[str, NDArray[np.uint32]]) -> None:
        after = self._carried_out()
        last = self._write_transfers(out["main"])
        before = [*self.balances, *[0] * (self.accounts - len(self.balances))]
        out["accounts"][:, :3] = np.array([before, after, last]).T
        out["accounts"][:, 3:] = self.salt
        hashes = out["hashes"]
        row = 0
        for balances in (before, after):
            tree = np.array(_tree(balances, self.salt)[1:], dtype=np.uint32)
            children = tree[1:].reshape(self.accounts - 1, WIDTH)
            hashes[row : row + self.accounts - 1, :WIDTH] = children
            row += self.accounts - 1
        fill(hashes[:, :COLUMNS])
        sums = hashes[:, COLUMNS - WIDTH : COLUMNS - DIGEST].astype(np.uint64) + hashes[:, :DIGEST]
        hashes[:, COLUMNS:] = sums % P

    def _write_transfers(self, main: NDArray[np.uint32]) -> list[int]:
        """Fills the first table; returns each account's last time."""
        balances = [*self.balances, *[0] * (self.accounts - len(self.balances))]
        times = [0] * self.accounts
        nothing = ((0, 0, 0),) * (len(main) - len(self.transfers))
        rows = []
        for i, (payer, payee, amount) in enumerate((*self.transfers, *nothing)):
            clock = 2 * i + 1
            row = [clock, payer, payee, amount, balances[payer], times[payer]]
            balances[payer] -= amount
            times[payer] = clock
            row += (balances[payee], times[payee])
            balances[payee] += amount
            times[payee] = clock + 1
            rows.append(row)
        main[:] = np.array(rows, dtype=np.int64) % P
        return times

    def public_outputs(self) -> tuple[int, ...]:
        return self.root(self.balances, self.salt) + self.root(self._carried_out(), self.salt)


def _tree(balances: Sequence[int], salt: Sequence[int]) -> list[tuple[int, ...]]:
    """The nodes of the tree by their number: 1 is the root, 2 i and 2 i + 1 are below i; the leaves come last."""
    count = _capacity(len(balances))
    leaves = [(balance, *salt) for balance in (*balances, *[0] * (count - len(balances)))]
    nodes: list[tuple[int, ...]] = [()] * count + leaves
    for i in range(count - 1, 0, -1):
        nodes[i] = compress(nodes[2 * i], nodes[2 * i + 1])
    return nodes


def _transfer_rows(b: TableBuilder, capacity: int, state: Bus) -> None:
    b.rows(capacity)
    clock, payer, payee, amount = (b.column(name) for name in ("clock", "payer", "payee", "amount"))
    paying, paying_time = b.column("paying"), b.column("paying_time")
    paid, paid_time = b.column("paid"), b.column("paid_time")
    b.boundary(clock, 0, 1)
    b.assert_equal(clock.next, clock + 2, name="two times a row")
    state.receive([payer, paying, paying_time], name="the payer's balance")
    state.send([payer, paying - amount, clock], name="the payer's new balance")
    state.receive([payee, paid, paid_time], name="the payee's balance")
    state.send([payee, paid + amount, clock + 1], name="the payee's new balance")
    b.range_check(amount, BALANCE_BITS, name="amount")
    b.range_check(paying - amount, BALANCE_BITS, name="what the payer keeps")
    b.range_check(paid + amount, BALANCE_BITS, name="what the payee has")
    # What is taken is older than what is put in its place.
    time_bits = (2 * capacity).bit_length()
    b.range_check(clock - 1 - paying_time, time_bits, name="age of the payer's balance")
    b.range_check(clock - paid_time, time_bits, name="age of the payee's balance")


def _account_rows(accounts: TableBuilder, count: int, state: Bus, nodes: Bus) -> None:
    accounts.rows(count)
    before, after, last = (accounts.column(name) for name in ("before", "after", "last"))
    salt = accounts.columns("salt", SALT)
    number = accounts.periodic(range(count), name="account")
    state.send([number, before, 0], name="first balance")
    state.receive([number, after, last], name="last balance")
    nodes.send([0, number + count, before, *salt], name="leaf before")
    nodes.send([1, number + count, after, *salt], name="leaf after")
    accounts.range_check(before, BALANCE_BITS, name="before")


def _hash_rows(hashes: TableBuilder, accounts: int, nodes: Bus) -> None:
    """A row for each node that is no leaf: first those of the tree before, then those of the tree after."""
    inner = accounts - 1
    hashes.rows(2 * inner)
    numbers = [*range(1, accounts), *range(1, accounts)]
    number = hashes.periodic([*numbers, 0, 0], name="node")
    tree = hashes.periodic([0] * inner + [1] * inner + [0, 0], name="tree")
    below_root = hashes.periodic([int(i > 1) for i in numbers] + [0, 0], name="below_root")
    active = hashes.active()
    permutation = Permutation.declare(hashes)
    permutation.constrain(hashes)
    digest = hashes.columns("digest", DIGEST)
    for i, (value, output) in enumerate(zip(permutation.input, permutation.output, strict=True)):
        if i < DIGEST:
            hashes.assert_equal(digest[i], output + value, name=f"compress {i}")
            hashes.boundary(digest[i], 0, hashes.output(i), name=f"root before {i}")
            hashes.boundary(digest[i], inner, hashes.output(DIGEST + i), name=f"root after {i}")
        hashes.assert_zero(value, when=1 - active, name=f"no input {i} in the last rows")
    nodes.receive([tree, 2 * number, *permutation.input[:DIGEST]], when=active, name="left child")
    nodes.receive([tree, 2 * number + 1, *permutation.input[DIGEST:]], when=active, name="right child")
    nodes.send([tree, number, *digest], when=below_root, name="node")
