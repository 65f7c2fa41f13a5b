"""The lines of a multivariant playlist in, its renditions out (RFC 8216 section 4.3.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gtm.probes import hls_tags

MAX_RENDITIONS = 200  # the longest ladders in the wild have some forty, with all their audio and pathways
MAX_CHARACTERS, MAX_LINES = (
    128 * 1024,
    2000,
)  # forty with signed addresses, or as many as there may be with all their tags
_STREAM, _MEDIA = "#EXT-X-STREAM-INF:", "#EXT-X-MEDIA:"


class Rendition(NamedTuple):
    """One media playlist that is named. `bandwidth` is its peak in bits per second, 0 where nothing is said."""

    bandwidth: int
    uri: str


@dataclass(frozen=True, slots=True)
class Multivariant:
    """`variants` are lowest first, each address once; `others` are separate audio and video renditions."""

    variants: tuple[Rendition, ...]
    others: tuple[Rendition, ...] = ()


def read(lines: list[str]) -> Multivariant:
    """Read the lines. Raises `PlaylistError`."""
    variants: dict[str, Rendition] = {}
    others: dict[str, Rendition] = {}
    bandwidth = -1
    for raw in lines:
        line = raw.rstrip()
        if line.startswith(_STREAM):
            said = hls_tags.attributes(line[len(_STREAM) :]).get("BANDWIDTH", "")
            bandwidth = int(said) if said.isascii() and said.isdecimal() and len(said) < 19 else 0
        elif line.startswith(_MEDIA):
            said_of = hls_tags.attributes(line[len(_MEDIA) :])
            if said_of.get("URI") and said_of.get("TYPE") in {"AUDIO", "VIDEO"}:
                others.setdefault(said_of["URI"], Rendition(0, said_of["URI"]))
        elif line and not line.startswith("#") and bandwidth >= 0:
            known = variants.get(line)
            if known is None or bandwidth < known.bandwidth:  # one playlist for several groups of audio
                variants[line] = Rendition(bandwidth, line)
            bandwidth = -1
        if len(variants) + len(others) > MAX_RENDITIONS:
            raise hls_tags.PlaylistError(f"more than {MAX_RENDITIONS} renditions")
    if not variants:
        raise hls_tags.PlaylistError("a multivariant playlist without variants")
    return Multivariant(
        tuple(sorted(variants.values())), tuple(one for uri, one in others.items() if uri not in variants)
    )
