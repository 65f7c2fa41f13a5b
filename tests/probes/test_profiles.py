"""The ready profiles in healthchecks/: they load, the README tells the truth about them, and the script works."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from gtm import model, probes, units
from gtm.config import expect, load
from gtm.wire import records
from tests.probes.probe_servers import Servers, make, run

FOLDER = Path(__file__).resolve().parents[2] / "healthchecks"
FILES = {f"healthchecks/{path.name}": path.read_text() for path in sorted(FOLDER.glob("*.yaml"))}
KINDS = {name: prober.kind for name, prober in probes.KINDS.items()}
NAMES = [name for text in FILES.values() for name in re.findall(r"^  ([a-z-]+):$", text, re.MULTILINE)]
SCRIPT = FOLDER / "scripts" / "check_rtmp"

MAIN = """
include: ["healthchecks/*.yaml"]
endpoints:
  fra-1: {{address: [192.0.2.11, "2001:db8::11"]}}
pools:
  edges: {{members: [fra-1], check: [{names}]}}
zones:
  live.example.com:
    nameservers: [ns1.example.net.]
    hostmaster: ops@example.com
    steer: {{play: {{try: [edges], check: [{names}]}}}}
"""


def loaded() -> load.Loaded:
    texts = {"gtm.yaml": MAIN.format(names=", ".join(NAMES))} | FILES
    return load.load("gtm.yaml", texts, kinds=KINDS, records=records.Reader(), node="ns1", store="memory:")


def snapshot() -> model.Snapshot:
    found = loaded().snapshot
    assert found is not None
    return found


def test_all_profiles_load_together_without_a_word() -> None:
    assert [problem.message for problem in loaded().problems] == []
    assert set(snapshot().profiles) == set(NAMES)
    assert {profile.kind for profile in snapshot().profiles.values()} == set(KINDS)


def test_a_profile_per_name_is_filled_in() -> None:
    key = model.CheckKey("hls-channel", "fra-1", "ipv6", "play.live.example.com.")
    check = snapshot().checks[key]
    assert (check.address, check.port, check.host) == ("2001:db8::11", 443, "play.live.example.com")
    assert check.options["path"] == "/play/index.m3u8"
    assert check.options["tls"] == model.Tls()


@pytest.mark.parametrize("file", FILES)
def test_conditions_that_are_offered_in_comments_hold_water_too(file: str) -> None:
    kind = ""
    for line in FILES[file].splitlines():
        said = re.fullmatch(r"    kind: (\w+)", line)
        kind = said[1] if said else kind
        offered = re.fullmatch(r"    (?:#  |  #) {1,3}- (.*?)(?: {2,}#.*)?", line)
        if offered:
            assert expect.condition(KINDS[kind], offered[1]).measure


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_a_kind_expects_and_warns_of_by_itself_are_conditions(kind: model.Kind) -> None:
    for text in (*kind.expect, *kind.warn):
        assert expect.condition(kind, text).text == text


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_says_how_soon_a_dead_endpoint_is_down(name: str) -> None:
    rows = re.findall(
        r"^\| \[([\w-]+)\]\(([\w.-]+)\) \| (\w+) \|.*\| ([^|]+) \|$", (FOLDER / "README.md").read_text(), re.M
    )
    found = {row[0]: row[1:] for row in rows}
    file, kind, after = found[name]
    assert f"\n  {name}:\n" in FILES[f"healthchecks/{file}"]
    profile = snapshot().profiles[name]
    assert kind == profile.kind
    if not KINDS[kind].passive:
        assert units.seconds(after) == pytest.approx(profile.detects_within_s)


def test_the_readme_names_measures_that_there_are() -> None:
    _, _, rest = (FOLDER / "README.md").read_text().partition("## Measures")
    for kind, measures in re.findall(r"^\| (\w+) \| (`.*) \|$", rest, re.MULTILINE):
        for name in re.findall(r"`([\w.]+)`", measures):
            assert expect.measure(KINDS[kind], name), f"{kind}: {name}"


def test_the_probes_of_a_profile_go_where_its_options_say() -> None:
    command = snapshot().profiles["rtmp-handshake"].options["command"]
    assert command == ("healthchecks/scripts/check_rtmp", "--port", "1935")
    assert SCRIPT.stat().st_mode & 0o111


# --- the script ----------------------------------------------------------------------------------------------------


async def shake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    version, first = await reader.readexactly(1), await reader.readexactly(1536)
    writer.write(version + bytes(1536) + first)
    assert await reader.readexactly(1536) == bytes(1536)
    await reader.read()


async def script(port: int, timeout_s: float = 10.0) -> tuple[bool | None, str, dict[str, model.Value]]:
    command = (sys.executable, "-S", str(SCRIPT), "--port", str(port))
    result = await run(make("exec", command=command, timeout_s=timeout_s))
    return result.ok, result.reason, dict(result.measures)


async def test_the_script_shakes_hands(servers: Servers) -> None:
    ok, reason, measures = await script(await servers.raw(shake))
    assert (ok, reason) == (True, "")
    assert 0 < float(measures["perf.handshake"]) < 10


async def test_the_script_tells_another_server_from_rtmp(servers: Servers) -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    ok, reason, _ = await script(await servers.raw(web))
    assert (ok, reason) == (False, "CRITICAL: RTMP version 72 instead of 3: no RTMP server")


async def test_the_script_says_that_nobody_listens(servers: Servers) -> None:
    async def deaf(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)

    ok, reason, _ = await script(await servers.raw(deaf))
    assert ok is False
    assert reason.startswith("CRITICAL: connection ")
