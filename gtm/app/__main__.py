"""The control process: started by the supervisor with a configuration's path, ends with 78 when that is refused."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from gtm import app, errors, model
from gtm.app import caretaker, collector, desk, herald, last, node, secrets
from gtm.config import load
from gtm.serve import channel, supervisor
from gtm.web import application
from gtm.web import node as web_node

log = logging.getLogger("gtm")

# Of a reload's plan in the log: a hundred thousand new names are no reason for a hundred thousand lines.
PLAN_LINES = 20
# What is prepared in a thread must not keep the loop that probes from its turn: that gives the interpreter away with
# every system call, twenty times a probe, and by default has it back after 5 ms. Over a reload of 100,000 names probes
# left a second late with a tenth of that, and a quarter of a second with a hundredth. A switch costs some microseconds.
SWITCH_S = 0.00005
REPLACED_WITHIN_S = 90.0  # a million names take a minute to load


async def control(path: str) -> int:
    """Run until asked to stop; return the exit status."""
    loaded = app.load_configuration(path)
    if loaded.problems:
        print(app.refused_text(loaded, color=sys.stderr.isatty()), file=sys.stderr)
    if loaded.snapshot is None:
        return await _take_care(path, loaded)
    one = node.Node(loaded.snapshot, path)
    crier = herald.Herald(one)
    await one.start()
    crier.start()
    await _stand(desk.Desk(one, path, crier), one, one.snapshot.web.listen, one.in_charge)
    await crier.close()
    await one.stop()
    return 0


async def _take_care(path: str, loaded: load.Loaded) -> int:
    """Answer the last table until the configuration is accepted; return 78 when there is none."""
    found = None
    if not os.environ.get(channel.TRIAL):  # who wants to replace another must do better than that
        found = await asyncio.to_thread(last.find, path)
    if found is None:
        return supervisor.REFUSED
    try:
        one = caretaker.Caretaker(found, loaded, path)
    except errors.TableError as error:
        log.error("%s cannot be answered from: %s", found.path, error)
        return supervisor.REFUSED
    await one.start()
    web = found.settings.web
    in_charge = asyncio.Event()
    in_charge.set()
    await _stand(one, one, model.Listen(*web) if web else None, in_charge)
    one.close()
    return 0


async def _stand(
    front: desk.Desk | caretaker.Caretaker,
    one: node.Node | caretaker.Caretaker,
    listen: model.Listen | None,
    in_charge: asyncio.Event,
) -> None:
    """Serve the web once it is `in_charge`, and obey signals, until one asks to stop or it is `over`."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_fallen)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, one.over.set)
    tasks: set[asyncio.Task[None]] = set()

    def begin(job: Coroutine[Any, Any, None]) -> None:
        task = loop.create_task(job)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    asked = asyncio.Event()
    one.on_reload = asked.set
    reloads = loop.create_task(_reload_when(asked, front, one))
    begin(one.vault.watch())
    one.on_replace = lambda: begin(_replace(front, one))
    waits = [asyncio.ensure_future(one.over.wait()), asyncio.ensure_future(in_charge.wait())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    waits[1].cancel()
    served = await _serve_web(front, listen, one.vault) if in_charge.is_set() else None
    await waits[0]
    reloads.cancel()
    if served is not None:
        await served.close()


def _fallen(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say what nobody caught. Without memory this process ends: what it was about to do may be half done.

    The workers answer on, and the supervisor starts a process that has its memory before it (house section 6).
    """
    if isinstance(context.get("exception"), MemoryError):
        log.critical("no memory is left; this process ends, and the next one begins")
        os._exit(os.EX_OSERR)
    loop.default_exception_handler(context)


async def _reload_when(asked: asyncio.Event, front: web_node.WebNode, one: node.Node | caretaker.Caretaker) -> None:
    """Reload when asked. However often it is asked during one reload, one more follows: that one sees every edit."""
    while True:
        await asked.wait()
        asked.clear()
        await _reload(front, one)


async def _replace(front: web_node.WebNode, one: node.Node | caretaker.Caretaker) -> None:
    """Do what SIGUSR2 asks; when it is done, the supervisor knows it first."""
    try:
        why = (await front.replace(yes=False, within_s=REPLACED_WITHIN_S, by="SIGUSR2")).why
    except errors.GtmError as error:
        why = str(error)
    if why:
        log.error("not replaced: %s", why)
        one.link.tell("kept", {"why": why})


async def _reload(front: web_node.WebNode, one: node.Node | caretaker.Caretaker) -> None:
    """Do what SIGHUP asks; a refusal is said and leaves the old configuration in force."""
    done = await front.reload(yes=False, by="SIGHUP")
    for line in done.plan[:PLAN_LINES]:
        log.info("plan: %s", line)
    if len(done.plan) > PLAN_LINES:
        log.info("plan: and %d lines more; `gtm check` shows a plan whole", len(done.plan) - PLAN_LINES)
    if not done.accepted:
        log.error("reload refused%s", f"\n{done.text}" if done.text else ": its plan needs `gtm reload --yes`")
    one.link.ready(accepted=done.accepted)


async def _serve_web(
    front: desk.Desk | caretaker.Caretaker, listen: model.Listen | None, vault: secrets.Vault
) -> application.Served | None:
    if listen is None:
        return None
    try:
        tls = vault.web.context if vault.web is not None else None
        served = await application.start(application.make(front), listen, tls)
    except errors.GtmError as error:  # answering does not need the web (semantics G5)
        log.error("%s", error)
        front.happened("node", "web", "", "unusable", str(error))
        return None
    front.web_listen = str(model.Listen(listen.host, served.port))
    log.info("web on %s://%s/", "https" if tls else "http", front.web_listen)
    return served


def main() -> None:
    """Start the control process from its command line."""
    parser = argparse.ArgumentParser(prog="python -m gtm.app")
    parser.add_argument("--config", required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    sys.setswitchinterval(SWITCH_S)
    try:
        collector.seldom()
        status = asyncio.run(control(arguments.config))
    except errors.GtmError as error:
        log.error("%s", error)
        status = 1
    sys.exit(status)


if __name__ == "__main__":
    main()
