"""The ingest kinds against real servers: nginx-rtmp with ffmpeg publishing, SRT listeners of both sorts, RTSP, nginx.

Everything runs on free ports of loopback. RTMPS, WHIP and WHEP have theirs in `test_secure_ingest`, gRPC in
`tests/probes/test_grpc_server`.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gtm import model, seen
from gtm.probes import watch
from tests.probes.probe_servers import make, run
from tests.slow.programs import LOOK_S, PUBLISHER, WITHIN_S, Programs, free_port, looking, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

RTSP = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service("{port}")
SOURCE = "( videotestsrc is-live=true ! video/x-raw,format=I420,width=160,height=96,framerate=10/1 ! "
for path, launch in (
    ("/live", SOURCE + "jpegenc ! rtpjpegpay name=pay0 pt=96 )"),
    # Colours that the payloader cannot take: this pipeline never starts.
    ("/stuck", SOURCE.replace("I420", "Y444") + "jpegenc ! rtpjpegpay name=pay0 pt=96 )"),
):
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(launch)
    factory.set_shared(True)
    server.get_mount_points().add_factory(path, factory)
server.attach(None)
GLib.MainLoop().run()
"""
SRT_SOURCE = (
    "gst-launch-1.0 -q audiotestsrc is-live=true ! opusenc ! mpegtsmux ! srtsink wait-for-connection=false uri="
)


async def test_rtmp_tells_server_application_stream_and_publisher_apart_and_harms_nobody(programs: Programs) -> None:
    port = free_port()
    web = programs.nginx(rtmp=port)
    alive = await until(looking("rtmp", port))
    assert alive.measures["code"] == "NetConnection.Connect.Success"
    unknown = await looking("rtmp", port, app="nowhere")()
    assert (unknown.ok, unknown.reason) == (False, "connection closed before the answer to connect to 'nowhere' came")
    channel = looking("rtmp", port, play="cam1")
    gone = await channel()
    assert (gone.ok, gone.reason) == (False, "stream 'cam1' is not there: NetStream.Play.StreamNotFound")
    patient = await looking("rtmp", port, app="patient", play="cam1", timeout_s=1.0)()
    assert (patient.ok, patient.reason) == (False, "stream 'cam1' sends no media"), "this server says Play.Start to it"

    publisher = programs.start([*PUBLISHER.split(), f"rtmp://127.0.0.1:{port}/live/cam1"])
    playing = await until(channel)
    assert (playing.measures["publishers"], playing.measures["stream.present"]) == (1, True)
    stat = looking("rtmp_stat", web, app="live", stream="cam1")
    counted = await until(stat)
    assert counted.measures["publishers"] == 1
    for _ in range(3):
        taken = await looking("rtmp", port, publish_reserved_key="cam1")()
        assert (taken.ok, taken.measures["publishers"]) == (True, 1)
    free = await looking("rtmp", port, publish_reserved_key="gtm-probe")()
    assert (free.ok, free.measures["code"]) == (True, "NetStream.Publish.Start")
    await asyncio.sleep(1)
    still = await stat()
    assert still.measures["publishers"] == 1
    assert float(still.measures["rate"]) > 0, "the encoder goes on as if nobody had probed"
    assert publisher.poll() is None

    publisher.send_signal(signal.SIGSTOP)
    stands = await until(channel, ok=False)
    assert "sends no media" in stands.reason, "its headers are still handed out"
    connected = await stat()
    assert connected.measures["publishers"] == 1, "but it is still connected"
    publisher.send_signal(signal.SIGCONT)
    await until(channel)
    publisher.terminate()
    publisher.wait()
    idle = await until(looking("rtmp", port, play="cam1", idle="ok"))
    assert idle.measures["publishers"] == 0
    assert (await stat()).measures["publishers"] == 0


async def test_an_srt_listener_of_one_caller_is_probed_without_taking_its_place(programs: Programs) -> None:
    port = free_port(socket.SOCK_DGRAM)
    shut = await looking("srt", port, single_client=True)()
    assert (shut.ok, shut.reason) == (False, "connection refused")
    listener = programs.start(["ffmpeg", "-nostdin", "-i", f"srt://127.0.0.1:{port}?mode=listener", "-f", "null", "-"])
    look = looking("srt", port, single_client=True, timeout_s=1.0)
    assert (await until(look)).measures["answered"] is True
    for _ in range(20):
        assert (await look()).measures["answered"] is True
    assert listener.poll() is None
    programs.start([*PUBLISHER.split()[:-1], "mpegts", f"srt://127.0.0.1:{port}?mode=caller"])
    busy = await until_busy(look)
    assert (busy.ok, busy.reason) == (True, "no answer: it is busy with its one caller, or filtered")
    assert listener.poll() is None


async def until_busy(look: Callable[[], Awaitable[seen.ProbeResult]]) -> seen.ProbeResult:
    ends_s = time.monotonic() + WITHIN_S
    while (found := await look()).measures["answered"]:
        assert time.monotonic() < ends_s
        await asyncio.sleep(LOOK_S)
    return found


async def test_an_srt_gateway_lets_us_in_or_wants_a_passphrase_and_lives_either_way(programs: Programs) -> None:
    open_port, closed_port = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
    secret = "&passphrase=0123456789ab&pbkeylen=16"
    programs.start([*SRT_SOURCE.split()[:-1], f"uri=srt://127.0.0.1:{open_port}?mode=listener"])
    programs.start([*SRT_SOURCE.split()[:-1], f"uri=srt://127.0.0.1:{closed_port}?mode=listener{secret}"])
    stream_id = "#!::r=cam1,m=request,u=gtm-probe"
    await until(looking("srt", open_port))
    await until(looking("srt", closed_port))
    for _ in range(5):
        inside = await looking("srt", open_port, stream_id=stream_id)()
        assert (inside.ok, inside.measures["rejection"], inside.measures["encryption"]) == (True, -1, "none")
    outside = await looking("srt", closed_port, stream_id=stream_id)()
    assert (outside.ok, outside.reason) == (True, "rejected: passphrase required (11)")
    assert (outside.measures["encryption"], outside.overloaded) == ("AES-128", "")


async def test_rtsp_tells_server_and_stream_apart(programs: Programs) -> None:
    port = free_port()
    programs.start(["/usr/bin/python3", "-c", RTSP.replace("{port}", str(port))])
    await until(looking("rtsp", port))
    live = await looking("rtsp", port, path="/live", timeout_s=10.0)()
    assert (live.ok, live.measures["stream.media"]) == (True, 1)
    gone = await looking("rtsp", port, path="/nowhere")()
    assert (gone.ok, gone.reason) == (False, "stream /nowhere is not there: status 404")
    stuck = await looking("rtsp", port, path="/stuck")()
    assert (stuck.ok, stuck.reason) == (False, "no answer to DESCRIBE within 3s")
    assert stuck.measures["status"] == 200, "the server itself answers"


@contextlib.asynccontextmanager
async def watching(port: int) -> AsyncIterator[tuple[watch.Watcher, model.Check, asyncio.Queue[float]]]:
    """Watch a server, with probes as GTM makes them; the queue has the moments of the breaks."""
    broke: asyncio.Queue[float] = asyncio.Queue()
    check = make("http", port, host="", watch=True)

    def told(_: tuple[model.CheckKey, ...]) -> None:
        broke.put_nowait(time.monotonic())

    watcher = watch.Watcher(told)
    yield watcher, check, broke
    watcher.close()


async def test_nginx_that_ends_idle_connections_costs_two_probes_and_is_forestalled_from_then_on(
    programs: Programs,
) -> None:
    port = programs.nginx(idle="6s")
    await until(looking("http", port))
    async with watching(port) as (watcher, check, broke):
        watcher.came(check, True)
        for _ in range(2):
            async with asyncio.timeout(10):
                await broke.get()
            watcher.came(check, (await run(check)).ok)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(15):
                await broke.get()
        assert watcher.held == 1


async def test_nginx_that_is_killed_is_known_within_milliseconds(programs: Programs) -> None:
    port = programs.nginx()
    await until(looking("http", port))
    async with watching(port) as (watcher, check, broke):
        watcher.came(check, True)
        await asyncio.sleep(1)  # loopback connects in a millisecond
        assert watcher.held == 1
        began_s = time.monotonic()
        programs.running[-1].kill()
        async with asyncio.timeout(5):
            assert await broke.get() - began_s < 0.1
        assert (await run(check)).reason == "connection refused"
