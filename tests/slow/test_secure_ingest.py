"""RTMPS and WebRTC against real servers: nginx with TLS before nginx-rtmp, and a WebRTC stack behind WHIP and WHEP.

No Debian package serves WHIP without a Node.js of its own, so a few lines carry the offer over HTTP as RFC 9725 says;
what reads the offer, answers it and holds the session is Debian's aiortc.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import urllib.request
from pathlib import Path

import pytest
import trustme

from gtm import model
from tests.probes.probe_servers import HOST
from tests.slow.programs import PUBLISHER, Programs, free_port, looking, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

WEBRTC = """
import asyncio, http.server, json, sys, threading
import aiortc
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
sessions, made = {}, 0

async def answer(path, offer):
    global made
    connection = aiortc.RTCPeerConnection()
    if path.startswith("/whep/"):
        connection.addTrack(AudioStreamTrack())
        connection.addTrack(VideoStreamTrack())
    await connection.setRemoteDescription(aiortc.RTCSessionDescription(offer, "offer"))
    await connection.setLocalDescription(await connection.createAnswer())
    made += 1
    sessions[f"/session/{made}"] = connection
    return f"/session/{made}", connection.localDescription.sdp

class Endpoint(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def say(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.say(200, json.dumps({"made": made, "alive": len(sessions)}).encode())

    def do_OPTIONS(self):
        self.say(204, Accept_Post="application/sdp")

    def do_POST(self):
        offer = self.rfile.read(int(self.headers["Content-Length"])).decode()
        try:
            where, sdp = asyncio.run_coroutine_threadsafe(answer(self.path, offer), loop).result(10)
        except Exception as error:
            return self.say(400, repr(error).encode())
        self.say(201, sdp.encode(), Content_Type="application/sdp", Location=where)

    def do_DELETE(self):
        connection = sessions.pop(self.path, None)
        if connection is None:
            return self.say(404)
        asyncio.run_coroutine_threadsafe(connection.close(), loop).result(10)
        self.say(200)

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Endpoint).serve_forever()
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Authority:
    """Certificates of our own: the authority's, a good one and an expired one, each a file."""

    ca: str
    good: Path
    old: Path


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder, made = tmp_path_factory.mktemp("certificates"), trustme.CA()
    found = Authority(str(folder / "ca.pem"), folder / "good.pem", folder / "old.pem")
    made.cert_pem.write_to_path(found.ca)
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=2)
    made.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(str(found.good))
    old = made.issue_cert(HOST, not_before=past - datetime.timedelta(days=90), not_after=past)
    old.private_key_and_cert_chain_pem.write_to_path(str(found.old))
    return found


async def test_rtmps_is_rtmp_behind_tls_and_a_bad_certificate_is_a_failure(
    programs: Programs, authority: Authority
) -> None:
    rtmp, rtmps = free_port(), free_port()
    programs.nginx(rtmp=rtmp, rtmps=rtmps, pem=authority.good)
    tls = model.Tls(ca=authority.ca)
    alive = await until(looking("rtmp", rtmps, host=HOST, tls=tls))
    assert alive.measures["code"] == "NetConnection.Connect.Success"
    assert {"time.tls", "time.handshake", "certificate.days_left"} <= set(alive.measures)
    misnamed = await looking("rtmp", rtmps, host="other.example.com", tls=tls)()
    assert (misnamed.ok, misnamed.reason) == (False, f"certificate is for {HOST}, not other.example.com")
    unknown = await looking("rtmp", rtmps, host=HOST, tls=model.Tls())()
    assert unknown.ok is False
    assert "certificate" in unknown.reason
    plain = await looking("rtmp", rtmps)()
    assert plain.ok is False, "an RTMPS port is no RTMP port"

    channel = looking("rtmp", rtmps, host=HOST, tls=tls, play="cam1")
    assert (await channel()).reason == "stream 'cam1' is not there: NetStream.Play.StreamNotFound"
    programs.start([*PUBLISHER.split(), f"rtmps://127.0.0.1:{rtmps}/live/cam1"])  # ffmpeg through the same door
    assert (await until(channel)).measures["publishers"] == 1
    programs.running[0].kill()
    programs.running[0].wait()
    gone = await until(looking("rtmp", rtmps, host=HOST, tls=tls), ok=False)
    assert gone.reason == "connection refused"


async def test_rtmps_with_an_expired_certificate_is_down_and_says_since_when(
    programs: Programs, authority: Authority
) -> None:
    rtmp, rtmps = free_port(), free_port()
    programs.nginx(rtmp=rtmp, rtmps=rtmps, pem=authority.old)
    await until(looking("rtmp", rtmp))
    expired = await looking("rtmp", rtmps, host=HOST, tls=model.Tls(ca=authority.ca))()
    assert (expired.ok, expired.reason) == (False, "certificate expired 2 days ago")


async def test_a_webrtc_stack_takes_our_offer_and_every_session_is_ended_again(programs: Programs) -> None:
    port = free_port()
    programs.start(["/usr/bin/python3", "-c", WEBRTC, str(port)])
    alive = await until(looking("whip", port, path="/whip/cam1"))
    assert (alive.measures["status"], counted(port)) == (204, {"made": 0, "alive": 0}), "OPTIONS makes no session"
    for made, kind in enumerate(("whip", "whep", "whip"), 1):
        session = await looking(kind, port, path=f"/{kind}/cam1", session=True, timeout_s=10.0)()
        assert (session.ok, session.reason) == (True, "")
        assert session.measures["status"] == 201
        assert session.measures["answer.media"] == 2, "sound and pictures"
        assert session.measures["ended"] is True
        assert counted(port) == {"made": made, "alive": 0}
    programs.running[-1].kill()
    programs.running[-1].wait()
    gone = await until(looking("whip", port, path="/whip/cam1"), ok=False)
    assert gone.reason == "connection refused"


def counted(port: int) -> dict[str, int]:
    """Return how many sessions the server has made, and how many are alive."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as page:
        found: dict[str, int] = json.loads(page.read())
    return found
