"""The control process: started by the supervisor with a configuration's path, ends with 78 when that is refused."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from typing import Any

from gtm import app, errors, model
from gtm.app import desk, node
from gtm.serve import supervisor
from gtm.web import application

log = logging.getLogger("gtm")

# Of a reload's plan in the log: a hundred thousand new names are no reason for a hundred thousand lines.
PLAN_LINES = 20


async def control(path: str) -> int:
    """Run until asked to stop; return the exit status."""
    loaded = app.load_configuration(path)
    if loaded.problems:
        print(app.refused_text(loaded, color=sys.stderr.isatty()), file=sys.stderr)
    if loaded.snapshot is None:
        return supervisor.REFUSED
    one = node.Node(loaded.snapshot)
    await one.start()
    front = desk.Desk(one, path)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_fallen)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    asked = asyncio.Event()
    one.on_reload = asked.set
    reloads = loop.create_task(_reload_when(asked, front, one))
    served = await _serve_web(front, one)
    await stop.wait()
    reloads.cancel()
    if served is not None:
        await served.close()
    await one.stop()
    return 0


def _fallen(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say what nobody caught. Without memory this process ends: what it was about to do may be half done.

    The workers answer on, and the supervisor starts a process that has its memory before it (house section 6).
    """
    if isinstance(context.get("exception"), MemoryError):
        log.critical("no memory is left; this process ends, and the next one begins")
        os._exit(os.EX_OSERR)
    loop.default_exception_handler(context)


async def _reload_when(asked: asyncio.Event, front: desk.Desk, one: node.Node) -> None:
    """Reload when asked. However often it is asked during one reload, one more follows: that one sees every edit."""
    while True:
        await asked.wait()
        asked.clear()
        await _reload(front, one)


async def _reload(front: desk.Desk, one: node.Node) -> None:
    """Do what SIGHUP asks; a refusal is said and leaves the old configuration in force."""
    done = await front.reload(yes=False, by="SIGHUP")
    for line in done.plan[:PLAN_LINES]:
        log.info("plan: %s", line)
    if len(done.plan) > PLAN_LINES:
        log.info("plan: and %d lines more; `gtm check` shows a plan whole", len(done.plan) - PLAN_LINES)
    if not done.accepted:
        log.error("reload refused%s", f"\n{done.text}" if done.text else ": its plan needs `gtm reload --yes`")
    one.link.ready()


async def _serve_web(front: desk.Desk, one: node.Node) -> application.Served | None:
    listen = one.snapshot.web.listen
    if listen is None:
        return None
    try:
        served = await application.start(application.make(front), listen)
    except errors.GtmError as error:  # answering does not need the web (semantics G5)
        log.error("%s", error)
        one.happened("node", "web", "", "unusable", str(error))
        return None
    front.web_listen = str(model.Listen(listen.host, served.port))
    log.info("web on http://%s/", front.web_listen)
    return served


def main() -> None:
    """Start the control process from its command line."""
    parser = argparse.ArgumentParser(prog="python -m gtm.app")
    parser.add_argument("--config", required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    try:
        status = asyncio.run(control(arguments.config))
    except errors.GtmError as error:
        log.error("%s", error)
        status = 1
    sys.exit(status)


if __name__ == "__main__":
    main()
