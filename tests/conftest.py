"""Settings for the whole suite."""

from __future__ import annotations

import os
import signal

from hypothesis import settings

# No deadline: the machine is shared, and a slow example is not a wrong one.
# In CI the examples are the same in every run.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

# A shell that runs this in the background has interrupts ignored, in all that it starts: then none could be tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
