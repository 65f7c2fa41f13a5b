"""A nameserver's address in, a steady stream of questions out, each over a TCP connection of its own.

`python -m tests.slow.connecting ADDRESS PORT RATE REPORT NAME` is `tests.slow.stream` over TCP: it asks until SIGTERM,
and writes the same report. A connection that is refused, or ends before the answer, is a question without one.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import signal
import sys
import time
from pathlib import Path

import dns.message
import dns.rcode

from tests.slow import stream

PATIENCE_S = 25.0  # a listener that waits for its server loses nothing however long that takes


async def ask(address: str, port: int, name: str) -> stream.Asked:
    """Ask once."""
    query = dns.message.make_query(name, "A", id=random.getrandbits(16))
    wire, asked = query.to_wire(), stream.Asked(time.monotonic(), name)
    try:
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                writer.write(len(wire).to_bytes(2, "big") + wire)
                reply = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            finally:
                writer.close()
    except (OSError, EOFError, TimeoutError) as error:
        return asked._replace(rcode=f"{type(error).__name__}: {error}")
    got = dns.message.from_wire(reply)
    if not query.is_response(got):
        return asked._replace(got_s=time.monotonic(), rcode="another question")
    records = sorted(rdata.to_text() for rrset in got.answer for rdata in rrset)
    return asked._replace(got_s=time.monotonic(), rcode=dns.rcode.to_text(got.rcode()), answers=tuple(records))


async def stream_of(address: str, port: int, rate: float, name: str) -> list[stream.Asked]:
    """Ask until SIGTERM; return what became of each."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    print("asking", flush=True)
    began_s, tasks = time.monotonic(), []
    for number in itertools.count():
        try:
            async with asyncio.timeout(max(0.0, began_s + number / rate - time.monotonic())):
                await ended.wait()
            break
        except TimeoutError:
            tasks.append(asyncio.create_task(ask(address, port, name)))
    return await asyncio.gather(*tasks)


def main(address: str, port: str, rate: str, report: str, name: str) -> None:
    """Ask until SIGTERM, then write the report."""
    asked = asyncio.run(stream_of(address, int(port), float(rate), name))
    Path(report + ".part").write_text(json.dumps({"asked": asked, "strange": []}))
    Path(report + ".part").rename(report)


if __name__ == "__main__":
    main(*sys.argv[1:])
