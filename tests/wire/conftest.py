"""The same examples at every run, and no deadline: the machine that runs the tests has other things to do."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")
