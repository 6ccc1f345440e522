"""The proof cache: least recently used first out, bounded in bytes."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aprover.engine.cache import ENTRY_BYTES, ProofCache
from tests.support.engine_core import FakeRequest, FakeWaiter, HandClock, make_core

KEYS = st.integers(0, 9)
SIZES = st.integers(0, 2000)
ACTIONS = st.lists(st.tuples(st.sampled_from(["put", "get"]), KEYS, SIZES), max_size=60)


class Plain:
    """The same by its definition: a list in the order of use."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.entries: list[tuple[int, str, int]] = []

    def get(self, key: int) -> str | None:
        for entry in self.entries:
            if entry[0] == key:
                self.entries.remove(entry)
                self.entries.append(entry)
                return entry[1]
        return None

    def put(self, key: int, proof: str, size: int) -> None:
        self.entries = [entry for entry in self.entries if entry[0] != key]
        if size + ENTRY_BYTES > self.most:
            return
        self.entries.append((key, proof, size + ENTRY_BYTES))
        while sum(entry[2] for entry in self.entries) > self.most:
            self.entries.pop(0)


class TestCache:
    @given(ACTIONS, st.sampled_from([0, 150, 1000, 3000, 10**6]))
    def test_it_is_what_lru_means(self, actions: list[tuple[str, int, int]], most: int) -> None:
        """Whatever is put and got, it holds what a list in the order of use would hold, and never more bytes."""
        cache, plain = ProofCache(most), Plain(most)
        for number, (action, key, size) in enumerate(actions):
            if action == "put":
                cache.put(key, f"{number}", size)  # type: ignore[arg-type]
                plain.put(key, f"{number}", size)
            else:
                found: Any = cache.get(key)
                assert found == plain.get(key)
            assert len(cache) == len(plain.entries)
            assert cache.bytes == sum(entry[2] for entry in plain.entries) <= most

    def test_a_put_anew_counts_once(self) -> None:
        """Its old bytes are given back, and nothing was evicted."""
        cache = ProofCache(1000)
        for _ in range(5):
            cache.put("key", "proof", 700)  # type: ignore[arg-type]
        assert (len(cache), cache.bytes, cache.evictions) == (1, 700 + ENTRY_BYTES, 0)

    def test_evictions_are_counted(self) -> None:
        """One for each entry that had to go."""
        cache = ProofCache(3 * (100 + ENTRY_BYTES))
        for key in range(5):
            cache.put(key, "proof", 100)  # type: ignore[arg-type]
        cache.put("large", "proof", 2 * (100 + ENTRY_BYTES) - ENTRY_BYTES)  # type: ignore[arg-type]
        assert (len(cache), cache.evictions) == (2, 4)
        assert cache.get(4) is not None

    def test_clear_leaves_nothing(self) -> None:
        """Neither entries nor bytes."""
        cache = ProofCache(1000)
        cache.put("key", "proof", 10)  # type: ignore[arg-type]
        cache.clear()
        assert (len(cache), cache.bytes, cache.get("key")) == (0, 0, None)

    def test_the_bytes_of_the_key_count(self) -> None:
        """A key may be larger than its proof."""
        core = make_core(HandClock(), cache_bytes=10_000)
        core.submit(FakeRequest("key", key_bytes=5000), FakeWaiter("loop"))
        core.dispatch("loop", tick=1)
        batch, _ = core.pull("one")
        core.finish(batch, [b"x" * 1000], seconds=1e-3)  # type: ignore[arg-type,list-item]
        assert core.statistics().cache_bytes == 6000 + ENTRY_BYTES
