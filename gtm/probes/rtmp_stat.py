"""A check of nginx-rtmp's statistics page in, its live publishers, viewers and their bytes out.

It tells what no probe of the port can: whether an encoder is connected, and to which stream. `failback: when_idle`
lives on `publishers`.
"""

from __future__ import annotations

from gtm import model
from gtm.probes import dial, fetch, prober, stat_xml

KIND = model.Kind(
    name="rtmp_stat",
    doc="nginx-rtmp's statistics page (`rtmp_stat all;`): who publishes and who watches, in all or in one stream",
    options=(
        dial.HOST,
        dial.TLS,
        dial.WATCH,
        model.Option("path", "path", "path of the page", "/stat", fills=True),
        model.Option("headers", "headers", "headers to send beside Host and User-Agent", fills=True),
        model.Option("app", "text", "count this application only", "", fills=True),
        model.Option("stream", "text", "count this stream only", "", fills=True),
        model.Option(
            "max_bytes",
            "bytes",
            "how much of the page is read: some 1.5 KiB a stream, and 700 streams at most",
            1024 * 1024,
        ),
    ),
    measures=(
        fetch.STATUS,
        model.Measure("publishers", "", "streams that are being published"),
        model.Measure("viewers", "", "clients that watch"),
        model.Measure("stream.present", "", "whether there is a publisher"),
        model.Measure("rate", "bytes", "bytes that publishers sent in a second, since the last look; not at the first"),
        model.Measure("uptime", "s", "how long nginx has been running"),
        *fetch.MEASURES,
    ),
    expect=("status == 200 unless overloaded",),
    port=80,
    tls_port=443,
)


async def look(trial: prober.Trial) -> str:
    """Read the page once."""
    async with fetch.visit(trial) as visit:
        page = await visit.get(trial.text("path"), trial.number("max_bytes"), headers=trial.headers())
    trial.measures["status"] = page.status
    trial.overloaded = trial.overloaded or fetch.overload(page)
    if page.status != 200:
        return ""
    if page.cut:
        raise prober.Failed(f"the page is longer than the {len(page.body)} bytes that are read")
    try:
        found = stat_xml.read(page.body)
    except ValueError as error:
        raise prober.Failed(f"not a statistics page: {error}") from None
    app, name = trial.text("app"), trial.text("stream")
    mine = [one for one in found.streams if app in ("", one.app) and name in ("", one.name)]
    published = [one for one in mine if one.publishing]
    trial.measures |= {
        "publishers": len(published),
        "viewers": sum(max(0, one.clients - one.publishing) for one in mine),
        "stream.present": bool(published),
        "uptime": found.uptime_s,
    }
    _measure_rate(trial, {(one.app, one.name): one.bytes_in for one in published})
    return ""


def _measure_rate(trial: prober.Trial, now: dict[tuple[str, str], int]) -> None:
    """Measure `rate` over the streams that were there before; one that began anew counts from nothing."""
    before, before_s = trial.memory.get("bytes"), trial.memory.get("at_s", 0.0)
    at_s = trial.monotonic()
    trial.memory["bytes"], trial.memory["at_s"] = now, at_s
    if before is not None and at_s > before_s:
        grown = sum(size - before[key] if size >= before[key] else size for key, size in now.items() if key in before)
        trial.measures["rate"] = grown / (at_s - before_s)
