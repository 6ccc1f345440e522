"""`Engine`: what `aprover.open_engine` gives. Its parts, each built on the one before: `life`, `asking`, `batches`."""

from __future__ import annotations

from ..air import Program
from ..backends import Prefer, backend_named
from ..proof import BackendName
from .batches import Batching
from .estimate import Estimate
from .life import Mode
from .request import Request
from .statistics import EngineStatistics

__all__ = ["Engine", "Mode"]


class Engine(Batching):
    """Made by `aprover.open_engine`; its methods are the functions of the same names, on this engine.

    All may be called from any number of event loops and threads at once.
    """

    def statistics(self) -> EngineStatistics:
        """A frozen snapshot of the engine's counters, consistent within itself."""
        return self._core.statistics()

    def estimate(
        self,
        program: Program,
        *,
        security: int = 100,
        backend: BackendName = "stark",
        prefer: Prefer = "time",
        zk: bool = False,
        memory_limit: int | None = None,
    ) -> Estimate:
        """As `aprover.estimate`, by this engine's cost model and load."""
        if memory_limit is None:
            memory_limit = self.memory_limit
        request = Request(program, security, backend, prefer, False, zk, memory_limit)
        duration, placement = self._core.predict(request.work())
        air = program.compiled()
        cost = backend_named(backend).cost(program, security=security, prefer=prefer, zk=zk, memory_limit=memory_limit)
        return Estimate(duration, placement.value, air.height, air.columns, cost.proof_bytes, cost.memory)
