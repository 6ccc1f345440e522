"""`EngineStatistics`: a frozen snapshot of an engine's counters."""

from __future__ import annotations

import attrs

__all__ = ["EngineStatistics"]


@attrs.frozen
class EngineStatistics:
    """Counters since the engine was opened, and the state at the moment of the snapshot.

    ``requests == hits + joins + flights + rejected + refused``, and ``flights`` that have ended are
    ``proofs + verifications + failed + cancelled``. Every request that did not hit, and was not
    rejected or refused, is answered once: by a proof, a failure, an expiry, a closing, or it was cancelled.
    """

    requests: int = 0
    """For proofs and for verifications, each of a batch counted."""
    hits: int = 0
    """Answered from the cache."""
    joins: int = 0
    """Joined an identical flight."""
    flights: int = 0
    """Opened a flight of its own."""
    rejected: int = 0
    """Refused for overload."""
    refused: int = 0
    """Refused because the engine was closed, or the deadline had passed at the door."""
    proofs: int = 0
    """Flights that ended with a proof."""
    verifications: int = 0
    """Flights that ended with a proof that was verified."""
    failed: int = 0
    """Flights that ended with an error; a proof that was rejected is one."""
    cancelled: int = 0
    """Flights that were dropped or stopped because nobody waited any more, or the engine was closed."""
    expired: int = 0
    """Waiters whose deadline passed."""
    left: int = 0
    """Waiters that were cancelled."""
    inline: int = 0
    """Flights made on a loop's own thread."""
    offloaded: int = 0
    """Flights made by one worker."""
    split: int = 0
    """Flights made by several workers."""
    batches: int = 0
    """Batches pulled by workers."""
    shared: int = 0
    """Flights that were answered by a member of an aggregate."""
    queue_wait: float = 0.0
    """Seconds between opening and start, summed over the flights that started."""
    started: int = 0
    """Flights that were begun; one that was stopped and wanted again is begun again."""
    cache_entries: int = 0
    """Proofs that are kept, now."""
    cache_bytes: int = 0
    """Bytes that these and their keys take, now."""
    evictions: int = 0
    """Proofs that were kept, and dropped to make room."""
    parked: int = 0
    """Flights that wait for admission, now."""
    queued: int = 0
    """Flights that wait for a worker, now."""
    running: int = 0
    """Flights that are being made, now; those being cancelled included."""
    waiters: int = 0
    """Waiters without an answer, now."""
    busy_workers: int = 0
    """That make a batch or help with one, now."""
    idle_workers: int = 0
    """That sleep, now; those that were woken and are on their way are neither."""

    @property
    def pending(self) -> int:
        """Flights that count against `max_pending`, now."""
        return self.queued + self.running

    @property
    def mean_batch_size(self) -> float:
        """Flights a batch that workers pulled; 0 before the first."""
        return (self.offloaded + self.split) / self.batches if self.batches else 0.0

    @property
    def mean_queue_wait(self) -> float:
        """Seconds that a flight waited for its start, on average; 0 before the first."""
        return self.queue_wait / self.started if self.started else 0.0
