"""Settings for the whole suite."""

from __future__ import annotations

import os

from hypothesis import settings

# No deadline: the machine is shared, and a slow example is not a wrong one.
# In CI the examples are the same in every run.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")
