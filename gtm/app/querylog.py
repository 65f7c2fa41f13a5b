"""Lines in, a bounded file that may be moved away (or standard output) out, by a thread that nobody waits for."""

from __future__ import annotations

import os
import queue
import stat
import threading
from collections.abc import Callable

from gtm import answering

MOST_WAITING = 10_000  # lines, some 3 MB; when the disk is stuck, new ones are dropped
_BATCH = 1000
_LEAVE_S = 1.0
STDOUT = "stdout"


class Writer:
    """Writes lines in the order in which they were offered. `dropped` counts by reason: `rate`, `queue`, `disk`.

    `said(before, after, cause)` is called in the writing thread when the file cannot be written, and when it can again.
    """

    def __init__(self, to: answering.QueryLog, said: Callable[[str, str, str], None]) -> None:
        self.to = to
        self.written = 0
        self.dropped = {"rate": 0, "queue": 0, "disk": 0}
        self._said = said
        self._lines: queue.Queue[bytes | None] = queue.Queue(MOST_WAITING)
        self._second, self._this_second = 0, 0
        self._fd = 1 if to.path == STDOUT else -1
        self._works = True
        self._thread = threading.Thread(target=self._run, name="gtm-query-log", daemon=True)
        self._thread.start()

    def wants(self, now_s: float) -> bool:
        """Say whether one more line fits into this second; count it when not."""
        if int(now_s) != self._second:
            self._second, self._this_second = int(now_s), 0
        self._this_second += 1
        if self._this_second > self.to.per_second:
            self.dropped["rate"] += 1
            return False
        return True

    def offer(self, line: bytes) -> None:
        """Write a line soon, or count it as dropped."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self.dropped["queue"] += 1

    def close(self) -> None:
        """Write what waits, unless the disk is stuck, and let go."""
        try:
            self._lines.put(None, timeout=_LEAVE_S)
            self._thread.join(_LEAVE_S)
        except queue.Full:
            self.dropped["queue"] += self._lines.qsize()

    def _run(self) -> None:
        """Write until told to stop. What cannot be written is missed, and it is tried again with the next lines."""
        going = True
        while going:
            batch, going = self._gather()
            try:
                self._write(b"".join(batch))
            except OSError as error:
                self.dropped["disk"] += len(batch)
                self._became(works=False, why=f"{error.strerror or error}; what is missed is counted")
            else:
                self.written += len(batch)
                self._became(works=True, why="it can be written again")
        if self._fd > 2:
            os.close(self._fd)

    def _gather(self) -> tuple[list[bytes], bool]:
        """Return the lines that wait, when there is one at least, and whether more may come."""
        lines = [self._lines.get()]
        while len(lines) < _BATCH and not self._lines.empty():
            lines.append(self._lines.get())
        return [one for one in lines if one is not None], None not in lines

    def _write(self, text: bytes) -> None:
        if self.to.path != STDOUT:
            self._open()
        view = memoryview(text)
        while view:
            view = view[os.write(self._fd, view) :]

    def _open(self) -> None:
        """Open the file, unless it is open, where it was (whoever rotates logs need not tell us), and not too big."""
        if self._fd >= 0:
            here = os.fstat(self._fd)
            try:
                at_home = os.path.samestat(here, os.stat(self.to.path))
            except FileNotFoundError:
                at_home = False  # moved away
            if at_home and (here.st_size < self.to.max_bytes or not stat.S_ISREG(here.st_mode)):
                return
            if at_home:
                os.replace(self.to.path, self.to.path + ".1")
            os.close(self._fd)
            self._fd = -1
        self._fd = os.open(self.to.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def _became(self, *, works: bool, why: str) -> None:
        if works != self._works:
            self._works = works
            self._said("usable" if not works else "unusable", "usable" if works else "unusable", why)
