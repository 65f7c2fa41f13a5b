"""The processes of a node that is to end in; the right one told at the right time, and whether all have ended, out."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence

from gtm.serve import children

_CONTROL_STOPS_S, _WORKERS_STOP_S = 10.0, 3.0


def is_over(everybody: Sequence[children.Child], now_s: float, since_s: float, say: Callable[[str], None]) -> bool:
    """Go on with an end that began `since_s` ago, and say whether nobody is left.

    The control process writes its store while the workers still answer; then they answer what waits and end.
    """
    alive = [child for child in everybody if child.process is not None]
    controls = [child for child in alive if child.role == "control"]
    if controls:
        if since_s >= _CONTROL_STOPS_S:
            say(f"the control process has not stopped for {_CONTROL_STOPS_S:g} s; it is killed")
            for control in controls:
                control.signal(signal.SIGKILL)
        return False
    for worker in alive:
        if worker.stopping_s is None:
            worker.stopping_s = now_s
            worker.signal(signal.SIGTERM)
        elif now_s - worker.stopping_s > _WORKERS_STOP_S:
            worker.signal(signal.SIGKILL)
    return not alive
