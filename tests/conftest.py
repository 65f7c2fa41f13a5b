"""How often each property is tried: the same examples at every run, and no deadline."""

from __future__ import annotations

from hypothesis import settings

# No deadline: the machine that runs the tests has other things to do.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")
