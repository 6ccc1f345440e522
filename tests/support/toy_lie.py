"""The hooks by which the slow prover lies. See toy_prover."""

# ruff: noqa: ARG002 - hooks have one signature, whatever a lie uses of it

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from tests.support.toy_commit import Transcript
from tests.support.toy_field import Array

if TYPE_CHECKING:
    from tests.support.toy_prover import Run


class Lie:
    """Honest in everything. A lie overrides hooks; each gets, last, the honest thing, and returns its own."""

    def transcript(self) -> Transcript:
        """The transcript that the prover runs."""
        return Transcript()

    def preprocessed(self, run: Run, table: int, values: Array) -> Array:
        """The preprocessed columns (k, P) of a table."""
        return values

    def trace(self, run: Run, table: int, trace: Array) -> Array:
        """The trace (k, W) of a table on its domain, before anything is committed."""
        return trace

    def columns(self, run: Run, table: int, columns: Array) -> Array:
        """Coefficients (k + R, W) of a table's trace columns; up to (n, W) may be returned."""
        return columns

    def total(self, run: Run, table: int, sigma: Array) -> Array:
        """The lookup sum of a table that its running sum is made with, and that is sent."""
        return sigma

    def lookups(self, run: Run, table: int, values: Array) -> Array:
        """The lookup columns (k, A, 5) of a table on its domain."""
        return values

    def sums(self, run: Run, sums: Array) -> Array:
        """The lookup sums (tables, 5) that are sent; zero for a table without interactions, which sends none."""
        return sums

    def periodics(self, run: Run, table: int, values: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        """The periodic values that the quotient is computed with."""
        return values

    def weights(self, run: Run, table: int, weights: Array) -> Array:
        """The coefficients of a table's constraints that its quotient is computed with."""
        return weights

    def chunks(self, run: Run, table: int, chunks: list[Array]) -> list[Array]:
        """Coefficients (any length, 5) of a quotient's chunks."""
        return chunks

    def openings(self, run: Run, openings: Array) -> Array:
        """The out-of-domain values (N, 5)."""
        return openings

    def lambdas(self, run: Run, lambdas: Array) -> Array:
        """The batching coefficients that the DEEP words are computed with."""
        return lambdas

    def entering(self, run: Run, t: int, word: Array) -> Array:
        """G_t, the word (n_t, 5) of level t's tables, as it enters FRI layer t."""
        return word

    def layer(self, run: Run, t: int, values: Array) -> Array:
        """The word (n_t, 5) of FRI layer t, by position, before its cap is sent."""
        return values

    def final(self, run: Run, attempt: int, word: Array, final: Array) -> Array:
        """The final polynomial's coefficients (k_t, 5), made from the last layer's word."""
        return final

    def nonce(self, run: Run, nonce: int) -> int:
        """The grinding nonce."""
        return nonce

    def content(self, run: Run, attempt: int, content: bool) -> bool:
        """Whether `run.indices` suit; a prover that grinds the final polynomial says no to be asked for another."""
        return content

    def hash_keys(self, run: Run, tree: str, keys: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
        """The keys that hash the leaves and the nodes of a tree: "trace", "trace 2" (of level 2), "fri 0" and so on."""
        return keys

    def leaves(self, run: Run, tree: str, leaves: list[bytes]) -> list[bytes]:
        """All leaves of a tree before they are hashed."""
        return leaves

    def cap(self, run: Run, tree: str, cap: bytes) -> bytes:
        """The cap of a tree, before it is sent (or, of preprocessed columns, absorbed)."""
        return cap

    def opened(self, run: Run, tree: str, indices: list[int], leaves: list[bytes]) -> list[bytes]:
        """The opened leaves, after all is committed and drawn."""
        return leaves

    def path(self, run: Run, tree: str, digests: list[bytes]) -> list[bytes]:
        """The digests of an opening."""
        return digests


class Both(Lie):
    """Several lies in one proof: each hook passes through all of them in order. (The transcript is the first one's.)"""

    def __init__(self, *lies: Lie) -> None:
        self.lies = lies

    def transcript(self) -> Transcript:
        return self.lies[0].transcript()

    def _through(self, hook: str, run: Run, *arguments: object) -> object:
        for lie in self.lies:
            *rest, value = arguments
            arguments = (*rest, getattr(lie, hook)(run, *rest, value))
        return arguments[-1]

    def preprocessed(self, run: Run, table: int, values: Array) -> Array:
        return cast(Array, self._through("preprocessed", run, table, values))

    def trace(self, run: Run, table: int, trace: Array) -> Array:
        return cast(Array, self._through("trace", run, table, trace))

    def columns(self, run: Run, table: int, columns: Array) -> Array:
        return cast(Array, self._through("columns", run, table, columns))

    def total(self, run: Run, table: int, sigma: Array) -> Array:
        return cast(Array, self._through("total", run, table, sigma))

    def lookups(self, run: Run, table: int, values: Array) -> Array:
        return cast(Array, self._through("lookups", run, table, values))

    def sums(self, run: Run, sums: Array) -> Array:
        return cast(Array, self._through("sums", run, sums))

    def periodics(self, run: Run, table: int, values: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        return cast(Sequence[Sequence[int]], self._through("periodics", run, table, values))

    def weights(self, run: Run, table: int, weights: Array) -> Array:
        return cast(Array, self._through("weights", run, table, weights))

    def chunks(self, run: Run, table: int, chunks: list[Array]) -> list[Array]:
        return cast(list[Array], self._through("chunks", run, table, chunks))

    def openings(self, run: Run, openings: Array) -> Array:
        return cast(Array, self._through("openings", run, openings))

    def lambdas(self, run: Run, lambdas: Array) -> Array:
        return cast(Array, self._through("lambdas", run, lambdas))

    def entering(self, run: Run, t: int, word: Array) -> Array:
        return cast(Array, self._through("entering", run, t, word))

    def layer(self, run: Run, t: int, values: Array) -> Array:
        return cast(Array, self._through("layer", run, t, values))

    def final(self, run: Run, attempt: int, word: Array, final: Array) -> Array:
        return cast(Array, self._through("final", run, attempt, word, final))

    def nonce(self, run: Run, nonce: int) -> int:
        return cast(int, self._through("nonce", run, nonce))

    def content(self, run: Run, attempt: int, content: bool) -> bool:
        return cast(bool, self._through("content", run, attempt, content))

    def hash_keys(self, run: Run, tree: str, keys: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
        return cast(tuple[bytes, bytes], self._through("hash_keys", run, tree, keys))

    def leaves(self, run: Run, tree: str, leaves: list[bytes]) -> list[bytes]:
        return cast(list[bytes], self._through("leaves", run, tree, leaves))

    def cap(self, run: Run, tree: str, cap: bytes) -> bytes:
        return cast(bytes, self._through("cap", run, tree, cap))

    def opened(self, run: Run, tree: str, indices: list[int], leaves: list[bytes]) -> list[bytes]:
        return cast(list[bytes], self._through("opened", run, tree, indices, leaves))

    def path(self, run: Run, tree: str, digests: list[bytes]) -> list[bytes]:
        return cast(list[bytes], self._through("path", run, tree, digests))
