"""The rtmp kind against a small server; against nginx-rtmp in tests/slow."""

from __future__ import annotations

import asyncio

import pytest
import trustme

from gtm import model
from gtm.probes import amf, chunks
from tests.probes import ingest_servers as ingest
from tests.probes.probe_servers import HOST, Servers, make, run, server_tls


async def test_handshake_and_connect_are_measured_and_disturb_nobody(servers: Servers) -> None:
    heard: list[list[amf.Value]] = []
    port = await servers.raw(ingest.rtmp(heard))
    result = await run(make("rtmp", port, app="ingest"))
    assert (result.ok, result.reason) == (True, "")
    assert result.measures["code"] == "NetConnection.Connect.Success"
    assert float(result.measures["time.handshake"]) > 0
    assert float(result.measures["time.command"]) > 0
    said, about = heard[0][0], heard[0][2]
    assert said == "connect"
    assert isinstance(about, dict)
    assert (about["app"], about["tcUrl"]) == ("ingest", f"rtmp://{HOST}:{port}/ingest")
    assert [one[0] for one in heard if one[0] != "pong"] == ["connect"]


async def test_rtmps_is_rtmp_inside_tls(servers: Servers, authority: trustme.CA, ca_file: str) -> None:
    heard: list[list[amf.Value]] = []
    port = await servers.raw(ingest.rtmp(heard), server_tls(authority, HOST))
    result = await run(make("rtmp", port, tls=model.Tls(ca=ca_file)))
    assert result.ok is True
    assert float(result.measures["time.tls"]) > 0
    assert isinstance(heard[0][2], dict)
    assert str(heard[0][2]["tcUrl"]).startswith("rtmps://")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "connection closed before the answer to connect to 'live' came"),
        (ingest.command("_error", 1, None, {"code": "NetConnection.Connect.Rejected"}), "NetConnection.Connect.Reje"),
        (ingest.command("_error", 1), "connect is refused: without a reason"),
        (b"\xc4bla", "not RTMP: a chunk that continues nothing"),
        (chunks.pack(chunks.COMMAND, 0, b"\x03\0\1"), "not RTMP: AMF0"),
    ],
)
async def test_an_application_that_is_not_there_fails(servers: Servers, answer: bytes | None, reason: str) -> None:
    result = await run(make("rtmp", await servers.raw(ingest.rtmp([], connect=answer))))
    assert result.ok is False
    assert reason in result.reason


async def test_another_server_is_no_rtmp_server(servers: Servers) -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    result = await run(make("rtmp", await servers.raw(web)))
    assert (result.ok, result.reason) == (False, "RTMP version 72 instead of 3: no RTMP server")


async def test_a_server_that_never_answers_fails_at_the_deadline(servers: Servers) -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(5000)
        await reader.read()

    result = await run(make("rtmp", await servers.raw(silent), timeout_s=0.2))
    assert (result.ok, result.reason) == (False, "no RTMP handshake within 200ms")


PLAYING = ingest.status("NetStream.Play.Start") + ingest.media(chunks.DATA, amf.pack("onMetaData", {"width": 160}))


@pytest.mark.parametrize(
    "first",
    [(chunks.VIDEO, ingest.H264), (chunks.AUDIO, ingest.AAC), (chunks.VIDEO, b"\x91hvc1x"), (chunks.AGGREGATE, b"x")],
)
async def test_a_stream_that_plays_is_there(servers: Servers, first: tuple[int, bytes]) -> None:
    heard: list[list[amf.Value]] = []
    port = await servers.raw(ingest.rtmp(heard, play=PLAYING + ingest.media(*first)))
    result = await run(make("rtmp", port, play="cam1"))
    assert (result.ok, result.reason) == (True, "")
    assert (result.measures["stream.present"], result.measures["publishers"]) == (True, 1)
    assert float(result.measures["time.media"]) > 0
    assert ["pong", "000701020304"] in heard


@pytest.mark.parametrize(
    "said",
    [
        b"",
        ingest.media(chunks.VIDEO, ingest.H264_HEADER) + ingest.media(chunks.AUDIO, ingest.AAC_HEADER),
        ingest.media(chunks.VIDEO, b"\x90hvc1"),
    ],
)
async def test_metadata_and_codec_headers_of_a_standing_encoder_are_no_media(servers: Servers, said: bytes) -> None:
    port = await servers.raw(ingest.rtmp([], play=PLAYING + said))
    result = await run(make("rtmp", port, play="cam1", timeout_s=0.3))
    assert (result.ok, result.reason) == (False, "stream 'cam1' sends no media")
    assert (result.measures["stream.present"], result.measures["publishers"]) == (False, 0)


async def test_a_stream_that_nobody_publishes_can_count_as_fine(servers: Servers) -> None:
    gone = ingest.status("NetStream.Play.StreamNotFound", "error")
    port = await servers.raw(ingest.rtmp([], play=gone))
    bad = await run(make("rtmp", port, play="cam1"))
    assert (bad.ok, bad.reason) == (False, "stream 'cam1' is not there: NetStream.Play.StreamNotFound")
    assert bad.reached, "the node lives: it is the stream that is dead"
    idle = await run(make("rtmp", port, play="cam1", idle="ok"))
    assert (idle.ok, idle.measures["publishers"]) == (True, 0)


async def test_a_free_reserved_key_is_published_and_given_back(servers: Servers) -> None:
    heard: list[list[amf.Value]] = []
    start = ingest.status("NetStream.Publish.Start")
    result = await run(make("rtmp", await servers.raw(ingest.rtmp(heard, publish=start)), publish_reserved_key="probe"))
    assert (result.ok, result.measures["publishers"]) == (True, 0)
    await asyncio.wait(servers.talks)
    assert heard[-2][3:] == ["probe", "live"]
    assert heard[-1][0] == "deleteStream"


async def test_a_key_that_is_in_use_is_left_alone(servers: Servers) -> None:
    heard: list[list[amf.Value]] = []
    busy = ingest.status("NetStream.Publish.BadName", "error")
    result = await run(make("rtmp", await servers.raw(ingest.rtmp(heard, publish=busy)), publish_reserved_key="probe"))
    assert (result.ok, result.reason, result.measures["publishers"]) == (True, "the reserved key is in use", 1)
    assert [one[0] for one in heard].count("publish") == 1


async def test_publishing_that_is_refused_fails(servers: Servers) -> None:
    no = ingest.status("NetStream.Publish.Unauthorized", "error")
    result = await run(make("rtmp", await servers.raw(ingest.rtmp([], publish=no)), publish_reserved_key="probe"))
    assert (result.ok, result.reason) == (False, "publishing is refused: NetStream.Publish.Unauthorized")


async def test_playing_and_publishing_are_two_checks(servers: Servers) -> None:
    port = await servers.raw(ingest.rtmp([]))
    assert (await run(make("rtmp", port, play="a", publish_reserved_key="b"))).ok is None


async def test_a_server_that_sends_its_clients_away_is_overloaded(servers: Servers) -> None:
    move = ingest.status("NetConnection.Connect.ReconnectRequest") + ingest.media(chunks.VIDEO, ingest.H264)
    result = await run(make("rtmp", await servers.raw(ingest.rtmp([], play=move)), play="cam1"))
    assert (result.ok, result.overloaded) == (True, "it asks its clients to connect elsewhere")


def test_messages_come_out_however_the_bytes_are_cut() -> None:
    payloads = [bytes(range(200)) * 3, b"", b"x" * 128, b"y" * 129]
    wire = b"".join(chunks.pack(chunks.VIDEO, 1, one, 4) for one in payloads)
    for step in (1, 7, 127, 10_000):
        reader = chunks.Reader()
        found = [one for at in range(0, len(wire), step) for one in reader.feed(wire[at : at + step])]
        assert [one.payload for one in found] == payloads
        assert [(one.type, one.stream, one.size) for one in found] == [(9, 1, len(one)) for one in payloads]


def test_G6_of_a_long_message_the_beginning_is_kept() -> None:
    reader = chunks.Reader()
    (found,) = reader.feed(chunks.pack(chunks.VIDEO, 1, b"x" * 100_000, 4))
    assert (found.size, len(found.payload)) == (100_000, chunks.KEPT_BYTES)


def test_extended_timestamps_and_long_stream_ids_are_read() -> None:
    # fmt 0 on chunk stream 64 + 2, extended time; then fmt 3, which repeats it (Adobe RTMP 1.0 section 5.3.1.3)
    first = b"\x00\x02" + b"\xff\xff\xff" + b"\x00\x00\x82" + b"\x08" + b"\x01\0\0\0" + b"\x01\0\0\0" + b"a" * 128
    rest = b"\xc0\x02" + b"\x01\0\0\0" + b"bb"
    (found,) = chunks.Reader().feed(first + rest)
    assert found.payload == b"a" * 128 + b"bb"


def test_values_go_there_and_back() -> None:
    values: list[amf.Value] = ["text", 1.5, True, None, {"a": 1.0, "b": {"c": "d"}}]
    assert amf.unpack(amf.pack(*values)) == values
    # by hand: ECMA array of one, strict array, date, long text (AMF0 sections 2.10, 2.12, 2.13, 2.14)
    raw = "080000000100016101010000090a0000000101000b3ff000000000000000000c0000000178"
    assert amf.unpack(bytes.fromhex(raw)) == [{"a": True}, [False], 1.0, "x"]
    with pytest.raises(TypeError):
        amf.pack([1])
