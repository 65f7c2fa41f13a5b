"""The demo's small world in words: its edges, its viewers, and the configuration and places that are written from them.

Three regions with five edges; `news` and `sport` are two channels that every edge carries. Viewers come from the
documentation prefixes (RFC 5737), which the written geography database places on three continents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gtm.cli import demo_geo

ZONE = "live.example.com"
CHANNELS = ("news", "sport")
BUILT = 1_790_000_000  # the database's date: fixed, so that the same places give the same bytes


@dataclass(frozen=True, slots=True)
class Edge:
    """One HTTP edge: its name, the loopback address that it has for itself, its pool and its site's place."""

    name: str
    address: str
    pool: str
    site: str
    at: str
    lat: float
    lon: float


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who asks: where from, as words and as a client subnet."""

    where: str
    subnet: str


EDGES = (
    Edge("fra-1", "127.0.0.11", "edge-eu", "fra", "EU-DE", 50.11, 8.68),
    Edge("ams-1", "127.0.0.12", "edge-eu", "ams", "EU-NL", 52.37, 4.90),
    Edge("nyc-1", "127.0.0.21", "edge-us", "nyc", "NA-US-NY", 40.71, -74.01),
    Edge("chi-1", "127.0.0.22", "edge-us", "chi", "NA-US-IL", 41.88, -87.63),
    Edge("sin-1", "127.0.0.31", "edge-as", "sin", "AS-SG", 1.35, 103.82),
)
EUROPE = Viewer("Europe", "192.0.2.0/24")
AMERICA = Viewer("America", "198.51.100.0/24")
ASIA = Viewer("Asia", "203.0.113.0/24")
VIEWERS = (EUROPE, AMERICA, ASIA)

CONFIGURATION = """\
# Written by `gtm demo`: three regions on loopback. The documentation explains every key.
node: ns1-demo

dns:
  listen: ["127.0.0.1:{dns_port}"]
  workers: 2

web:
  listen: 127.0.0.1:{web_port}

geo:
  databases: [places.mmdb]

checks:
  hls-channel:                       # mentions the label, so it is run for every steered name on every edge
    kind: hls
    port: {edge_port}
    path: /{{label}}/index.m3u8
    every: 1s                        # a drill should take seconds; in earnest 2s to 5s
    timeout: 800ms
    confirm: 200ms
    fall: 2
    rise: 2
    expect:
      - status == 200
      - playlist.age < 3 * playlist.target

sites:
{sites}

endpoints:
{endpoints}

pools:
{pools}

flap: off                            # so that one may break the same edge again and again by hand

zones:
  {zone}:
    nameservers: {{ns1: [127.0.0.1]}}
    hostmaster: ops@example.com
    steer:
{names}
"""

NAME = """\
      {name}:
        ttl: 1s..5s
        rules:
          - {{for: [EU, AF], try: [edge-eu, edge-us, edge-as]}}
          - {{for: [NA, SA], try: [edge-us, edge-eu, edge-as]}}
          - {{for: [AS, OC], try: [edge-as, edge-us, edge-eu]}}
          - {{try: [edge-eu, edge-us, edge-as]}}"""


def configuration(*, dns_port: int, web_port: int, edge_port: int) -> str:
    """Return the YAML of the demo's node."""
    pools: dict[str, list[str]] = {}
    for edge in EDGES:
        pools.setdefault(edge.pool, []).append(edge.name)
    return CONFIGURATION.format(
        dns_port=dns_port,
        web_port=web_port,
        edge_port=edge_port,
        zone=ZONE,
        sites="\n".join(f"  {edge.site}: {{at: {edge.at}, lat: {edge.lat}, lon: {edge.lon}}}" for edge in EDGES),
        endpoints="\n".join(f"  {edge.name}: {{address: {edge.address}, site: {edge.site}}}" for edge in EDGES),
        pools="\n".join(
            f"  {pool}: {{members: [{', '.join(names)}], check: hls-channel}}" for pool, names in pools.items()
        ),
        names="\n".join(NAME.format(name=channel) for channel in CHANNELS),
    )


def places() -> bytes:
    """Return the geography database: where the documentation prefixes are, in this world."""
    frankfurt = _place("EU", "DE", (50.11, 8.68), 64496)
    new_york = _place("NA", "US", (40.71, -74.01), 64497)
    singapore = _place("AS", "SG", (1.35, 103.82), 64498)
    where = {
        EUROPE.subnet: frankfurt,
        AMERICA.subnet: new_york,
        ASIA.subnet: singapore,
        "2001:db8:e000::/36": frankfurt,
        "2001:db8:a000::/36": new_york,
        "2001:db8:5000::/36": singapore,
    }
    return demo_geo.database(where, kind="GTM-Demo-City", build_epoch=BUILT)


def _place(continent: str, country: str, at: tuple[float, float], asn: int) -> Mapping[str, demo_geo.Data]:
    """One record in the shape of MaxMind's City and ASN databases; AS numbers for documentation are RFC 5398's."""
    return {
        "continent": {"code": continent},
        "country": {"iso_code": country},
        "location": {"latitude": at[0], "longitude": at[1]},
        "autonomous_system_number": asn,
    }
