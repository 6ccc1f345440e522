"""What an engine tells about itself: structured log events, and timelines of a run.

It knows nothing of the engine. Silent until asked: see `Events`.
"""

from __future__ import annotations

from .events import Events, Job, Trace
from .run import Run
from .timeline import Timeline, TimelineEvent, capture_timeline

__all__ = ["Events", "Job", "Run", "Timeline", "TimelineEvent", "Trace", "capture_timeline"]
