"""Session descriptions in, what media they offer out, and the smallest WebRTC offer (RFC 8866, RFC 8829)."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass

MAX_BYTES = 64 * 1024  # a browser's offer with everything in it has some 8 KiB
MAX_MEDIA = 64


@dataclass(frozen=True, slots=True)
class Description:
    """What a description says. `media` are the kinds of its streams that are not refused; `ice`: it can be reached."""

    media: tuple[str, ...]
    ice: bool
    fingerprint: bool


def read(raw: bytes) -> Description:
    """Read a description. Raises `ValueError` when it is none."""
    if len(raw) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes")
    lines = raw.decode("utf-8", "replace").splitlines()
    if not lines or lines[0].strip() != "v=0":  # RFC 8866 section 5.1
        raise ValueError("it does not begin with v=0")
    media, ice, fingerprint = [], False, False
    for line in lines:
        kind, _, value = line.partition("=")
        if kind == "m":
            words = value.split()
            if len(words) < 4:  # RFC 8866 section 5.14: media, port, protocol, formats
                raise ValueError("an m= line is cut short")
            if words[1].partition("/")[0] != "0":  # RFC 8843 section 6: port 0 refuses it
                media.append(words[0][:20])
            if len(media) > MAX_MEDIA:
                raise ValueError(f"more than {MAX_MEDIA} streams")
        elif kind == "a":
            ice = ice or value.startswith("ice-ufrag:")
            fingerprint = fingerprint or value.startswith("fingerprint:")
    return Description(tuple(media), ice, fingerprint)


def offer(direction: str) -> bytes:
    """Return a whole offer of one sound and one picture, `sendonly` or `recvonly`, that nobody will connect to.

    Opus, H.264 and VP8 are what every WebRTC endpoint speaks (RFC 7742 section 5, RFC 7874 section 3). The fingerprint
    is of no certificate: no handshake follows.
    """
    ufrag, password = secrets.token_hex(4), base64.b64encode(secrets.token_bytes(18)).decode()
    print_ = ":".join(f"{one:02X}" for one in secrets.token_bytes(32))
    common = [
        "c=IN IP4 0.0.0.0", "a=rtcp-mux", f"a=ice-ufrag:{ufrag}", f"a=ice-pwd:{password}",
        f"a=fingerprint:sha-256 {print_}", "a=setup:actpass", f"a={direction}",
    ]  # fmt: skip
    h264 = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
    lines = [
        "v=0", f"o=- {secrets.randbits(62)} 2 IN IP4 127.0.0.1", "s=-", "t=0 0",
        "a=group:BUNDLE 0 1", "a=ice-options:trickle",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111", *common, "a=mid:0", "a=rtpmap:111 opus/48000/2",
        "m=video 9 UDP/TLS/RTP/SAVPF 102 96", *common, "a=mid:1", "a=rtpmap:102 H264/90000", f"a=fmtp:102 {h264}",
        "a=rtpmap:96 VP8/90000",
    ]  # fmt: skip
    return "\r\n".join([*lines, ""]).encode()
