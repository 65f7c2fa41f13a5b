"""A command in, its Nagios exit code and performance data out.

The command runs without a shell, in a process group of its own. The group is killed at the deadline, and what is left
of it as soon as the command itself has ended, so that nothing gathers. Its environment is nothing but a path and what
it must know: GTM_ADDRESS, GTM_ENDPOINT, GTM_NAME, GTM_HOST, GTM_PORT, GTM_FAMILY, GTM_PROFILE, GTM_TIMEOUT (seconds).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shlex
import signal
import subprocess
import weakref
from collections.abc import AsyncIterator

from gtm import model
from gtm.probes import prober

KIND = model.Kind(
    name="exec",
    doc="a program that says by its exit code how the endpoint is, as Nagios plugins do",
    options=(
        model.Option(
            "command",
            "command",
            "program and arguments; a list, or text split as a shell would",
            fills=True,
            required=True,
        ),
        model.Option("warning", "choice", "what exit code 1 counts as", "ok", choices=("ok", "overloaded", "bad")),
        model.Option("max_bytes", "bytes", "how much of the output is kept", 16 * 1024),
    ),
    measures=(
        model.Measure("exit", "", "exit code"),
        model.Measure("output", "text", "first line of the output"),
        model.Measure("perf.*", "", "performance data by label, as in `perf.load1`; times in seconds, sizes in bytes"),
        prober.TIME_TOTAL,
    ),
)

# Commands at once: a process costs a hundred times what other probes do, and this node has names to answer.
AT_ONCE = 32
_WAIT_SHARE = 0.5  # of the timeout: the command needs the rest
_PLACES: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = weakref.WeakKeyDictionary()

_OK, _WARNING, _CRITICAL, _UNKNOWN = 0, 1, 2, 3
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/nagios/plugins"
# 'label'=value[unit];[warn];[crit];[min];[max] (Nagios plugin development guidelines, section 2.6)
_PERF = re.compile(r"(?:'((?:[^']|'')+)'|([^\s='|]+))=(-?\d+(?:\.\d+)?)(s|ms|us|%|B|KB|MB|GB|TB|c)?(?=[;\s]|$)")
_FACTORS = {"ms": 1e-3, "us": 1e-6, "KB": 1024.0, "MB": 1024.0**2, "GB": 1024.0**3, "TB": 1024.0**4}
_PERF_LABELS = 64  # more is no measurement but a dump


async def look(trial: prober.Trial) -> str:
    """Run the command once and judge it by its exit code; 3 and everything unknown say that it could not tell."""
    command = _words(trial.option("command"))
    async with _place(trial):
        return await _run(trial, command)


async def _run(trial: prober.Trial, command: tuple[str, ...]) -> str:
    trial.awaiting = "end of the command"
    loop = asyncio.get_running_loop()
    try:
        transport, listener = await loop.subprocess_exec(
            lambda: _Listener(trial.number("max_bytes")),
            *command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(trial),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise prober.NotRun(f"{command[0]}: {words.lower()}") from None
    try:
        await listener.ended
    except asyncio.CancelledError:
        listener.kill()
        await listener.exited  # a matter of moments; nobody is left behind as a zombie
        raise
    finally:
        transport.close()
    code = transport.get_returncode()
    return _judged(trial, _UNKNOWN if code is None else code, listener.kept.decode("utf-8", "replace"))


class _Listener(asyncio.SubprocessProtocol):
    """Keeps the output up to the bound, and drops the rest so that the command can end."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.kept = b""
        self.group = 0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.exited: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.SubprocessTransport):
            self.group = transport.get_pid() or 0  # it leads its own

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.kept += data[: self._limit_bytes - len(self.kept)]

    def process_exited(self) -> None:
        """The command itself has ended; what it left running may hold its output open for ever, and ends here."""
        self.kill()
        self.exited.set_result(None)

    def kill(self) -> None:
        """End the whole group; who is not of it any more has asked for a session of its own (`setsid`)."""
        if self.group:
            with contextlib.suppress(ProcessLookupError):  # nobody of it is left
                os.killpg(self.group, signal.SIGKILL)

    def connection_lost(self, error: Exception | None) -> None:
        """The command has ended, and nobody holds its output open any more."""
        if not self.ended.done():
            self.ended.set_result(None)


@contextlib.asynccontextmanager
async def _place(trial: prober.Trial) -> AsyncIterator[None]:
    """Wait for one of the places that there are for commands. Having none is this side's fault (A7)."""
    places = _PLACES.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE))
    try:
        async with asyncio.timeout(trial.left_s() * _WAIT_SHARE):
            await places.acquire()
    except TimeoutError:
        raise prober.NotRun(f"{AT_ONCE} commands are running already") from None
    try:
        yield
    finally:
        places.release()


def _words(command: model.OptionValue) -> tuple[str, ...]:
    words = tuple(shlex.split(command)) if isinstance(command, str) else command
    if not isinstance(words, (tuple, list)) or not words:
        raise prober.NotRun("no command is given")
    return tuple(map(str, words))


def _environment(trial: prober.Trial) -> dict[str, str]:
    check = trial.check
    return {
        "PATH": _PATH,
        "LANG": "C.UTF-8",
        "GTM_ADDRESS": check.address,
        "GTM_ENDPOINT": check.key.endpoint,
        "GTM_NAME": check.key.name.rstrip("."),
        "GTM_HOST": trial.host,
        "GTM_PORT": str(check.port or ""),
        "GTM_FAMILY": check.key.family,
        "GTM_PROFILE": check.profile.name,
        "GTM_TIMEOUT": f"{check.profile.timeout_s:g}",
    }


def _judged(trial: prober.Trial, code: int, output: str) -> str:
    """Fill the measures, and return the command's own first line, or raise it."""
    text, _, perf = output.partition("|")
    line = next((part.strip() for part in text.splitlines() if part.strip()), "")[:500]
    trial.measures["exit"] = code
    trial.measures["output"] = line
    trial.measures.update(performance(perf))
    if code == _CRITICAL or (code == _WARNING and trial.text("warning") == "bad"):
        raise prober.Failed(line or f"exit code {code}")
    if code not in {_OK, _WARNING}:
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        raise prober.NotRun(f"{how}: {line}" if line else how)
    if code == _WARNING and trial.text("warning") == "overloaded":
        trial.overloaded = line or "exit code 1"
    return line if code == _WARNING else ""


def performance(text: str) -> dict[str, float]:
    """Return Nagios performance data as `perf.LABEL` measures; what cannot be read is left out."""
    found: dict[str, float] = {}
    for quoted, plain, number, unit in _PERF.findall(text)[:_PERF_LABELS]:
        found[f"perf.{quoted.replace(chr(39) * 2, chr(39)) or plain}"] = float(number) * _FACTORS.get(unit, 1.0)
    return found
