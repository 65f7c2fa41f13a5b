"""The control process: started by the supervisor with a configuration's path, ends with 78 when that is refused."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys

from aiohttp import web

from gtm import app, errors
from gtm.app import desk, node
from gtm.serve import supervisor
from gtm.web import application

log = logging.getLogger("gtm")


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
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    reloads: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = loop.create_task(_reload(front, one))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    one.on_reload = reload
    runner = await _serve_web(front, one)
    await stop.wait()
    if runner is not None:
        await runner.cleanup()
    await one.stop()
    return 0


async def _reload(front: desk.Desk, one: node.Node) -> None:
    """Do what SIGHUP asks; a refusal is said and leaves the old configuration in force."""
    done = await front.reload(yes=False, by="SIGHUP")
    for line in done.plan:
        log.info("plan: %s", line)
    if not done.accepted:
        log.error("reload refused%s", f"\n{done.text}" if done.text else ": its plan needs `gtm reload --yes`")
    one.link.ready()


async def _serve_web(front: desk.Desk, one: node.Node) -> web.AppRunner | None:
    listen = one.snapshot.web.listen
    if listen is None:
        return None
    runner = application.runner(application.make(front))
    await runner.setup()
    try:
        site = web.TCPSite(runner, listen.host, listen.port)
        await site.start()
    except OSError as error:  # answering does not need the web (semantics G5)
        log.error("the web cannot listen on %s: %s", listen, error)
        one.happened("node", "web", "", "unusable", f"{listen}: {error}")
        await runner.cleanup()
        return None
    host, port = runner.addresses[0][:2]
    front.web_listen = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    log.info("web on http://%s/", front.web_listen)
    return runner


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
