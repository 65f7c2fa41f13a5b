"""Real media end to end: ffmpeg writes live HLS, nginx serves it, GTM steers it, unbound resolves it, dig looks.

Two edges carry two channels. All of it runs in a network namespace, with nameservers on port 53, so that unbound
follows a real delegation with glue from the parent zone to GTM.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slow import hosts, media

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

EDGES = {"a": "127.0.0.2", "b": "127.0.0.3"}
BOTH, ONLY_B = tuple(sorted(EDGES.values())), (EDGES["b"],)
CHANNELS = ("news", "sport")
GTM, PARENT, RESOLVER = "127.53.0.1", "127.53.0.2", "127.53.0.3"
SETTLE_S = 30.0  # how long the answers may take; detection takes about five seconds with the checks below

ENCODER = f"{media.SOURCE} {media.PICTURE} {media.HLS}"

NGINX = """
daemon off;
master_process off;
user root;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    types {{ application/vnd.apple.mpegurl m3u8; video/mp2t ts; }}
    server {{ listen {address}:80; root {folder}; }}
}}
"""

GTM_YAML = """
node: ns1-media
dns: {{listen: "{gtm}:53", workers: 2}}
web: {{listen: "{gtm}:8053"}}
flap: off
checks:
  channel:
    kind: hls
    path: /{{label}}/index.m3u8
    every: 1s
    timeout: 800ms
    confirm: 250ms
    rise: 2
endpoints:
  a: {{address: {a}}}
  b: {{address: {b}}}
pools:
  edges: {{members: [a, b], check: channel}}
zones:
  live.example.com:
    nameservers: {{ns1: {gtm}}}
    hostmaster: ops@example.com
    steer:
      news: {{try: edges, ttl: 1s..2s}}
      sport: {{try: edges, ttl: 1s..2s}}
"""

PARENT_YAML = """
node: ns1-parent
dns: {{listen: "{parent}:53", workers: 1}}
web: {{listen: off}}
zones:
  example.com:
    nameservers: {{ns1: {parent}}}
    hostmaster: ops@example.com
    records:
      live: {{NS: ns1.live.example.com.}}
      ns1.live: {{A: {gtm}}}
"""

UNBOUND = """
server:
    interface: {resolver}
    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    do-daemonize: no
    chroot: ""
    username: ""
    directory: "{folder}"
    pidfile: "{folder}/unbound.pid"
    use-syslog: no
    module-config: "iterator"
    num-threads: 1
stub-zone:
    name: example.com
    stub-addr: {parent}
"""


class Media(hosts.Namespace):
    """The namespace with everything in it; edges and encoders can be stopped and started."""

    def encode(self, edge: str, channel: str, folder: Path) -> None:
        """Start an encoder: one second a segment, six in the playlist, dated."""
        (folder / channel).mkdir(parents=True, exist_ok=True)
        self.start(f"ffmpeg-{edge}-{channel}", [*ENCODER.split(), str(folder / channel / "index.m3u8")])

    def serve(self, edge: str, folder: Path) -> None:
        """Start an edge."""
        conf = folder / "nginx.conf"
        conf.write_text(NGINX.format(folder=folder, address=EDGES[edge]))
        self.start(f"nginx-{edge}", ["nginx", "-c", str(conf)])

    def dig(self, name: str, server: str) -> tuple[str, ...]:
        """Return the addresses that dig gets for a channel, sorted."""
        said = self.run("dig", f"@{server}", f"{name}.live.example.com", "+short", "+time=2", "+tries=1")
        return tuple(sorted(line for line in said.splitlines() if not line.startswith(";")))

    def everybody(self) -> dict[str, tuple[str, ...]]:
        """Return what GTM and the resolver say for every channel."""
        servers = {"gtm": GTM, "unbound": RESOLVER}
        return {f"{one} {who}": self.dig(one, server) for one in CHANNELS for who, server in servers.items()}

    def status(self, edge: str, channel: str) -> str:
        """Return the HTTP status of a channel's playlist on an edge."""
        url = f"http://{EDGES[edge]}/{channel}/index.m3u8"
        return self.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "2", url)


def all_are(addresses: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {f"{one} {who}": addresses for one in CHANNELS for who in ("gtm", "unbound")}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Media]:
    place = tmp_path_factory.mktemp("media")
    with hosts.namespace(f"gtm-media-{os.getpid()}", place, Media) as world:
        for edge in EDGES:
            folder = place / edge
            for channel in CHANNELS:
                world.encode(edge, channel, folder)
            world.serve(edge, folder)
        values = {"gtm": GTM, "parent": PARENT, "resolver": RESOLVER, "folder": place, **EDGES}
        for what, text in (("live", GTM_YAML), ("parent", PARENT_YAML)):
            (place / what).mkdir()
            (place / what / "gtm.yaml").write_text(text.format(**values))
        (place / "unbound.conf").write_text(UNBOUND.format(**values))
        playlists = [place / edge / channel / "index.m3u8" for edge in EDGES for channel in CHANNELS]
        world.until(lambda: all(playlist.exists() for playlist in playlists), True, SETTLE_S)
        for what in ("live", "parent"):
            world.start(f"gtm-{what}", [*hosts.GTM, "serve", "-c", str(place / what / "gtm.yaml")])
        # Only then the resolver: unbound remembers for minutes that a nameserver did not answer.
        world.until(lambda: {one: world.dig(one, GTM) for one in CHANNELS}, dict.fromkeys(CHANNELS, BOTH), SETTLE_S)
        world.until(lambda: PARENT in world.run("dig", f"@{PARENT}", "ns1.example.com", "+short"), True, SETTLE_S)
        world.start("unbound", ["unbound", "-d", "-c", str(place / "unbound.conf")])
        world.until(world.everybody, all_are(BOTH), SETTLE_S)
        yield world


def test_A12_a_channel_that_stands_still_leaves_its_edge_alone_though_nginx_answers_200(live: Media) -> None:
    live.signal("ffmpeg-a-news", signal.SIGSTOP)
    left = all_are(BOTH) | {"news gtm": ONLY_B, "news unbound": ONLY_B}
    took_s = live.until(live.everybody, left, SETTLE_S)
    assert live.status("a", "news") == "200"
    assert took_s > 1, "a playlist is not stale before its next segment is due"
    said = live.run("dig", f"@{GTM}", "news.live.example.com", "+noall", "+comments")
    assert "pool edges" in said
    live.signal("ffmpeg-a-news", signal.SIGCONT)
    live.until(live.everybody, all_are(BOTH), SETTLE_S)


def test_a_dead_edge_leaves_both_names_and_comes_back(live: Media) -> None:
    live.kill("nginx-a")
    live.until(live.everybody, all_are(ONLY_B), SETTLE_S)
    live.serve("a", live.logs / "a")
    live.until(live.everybody, all_are(BOTH), SETTLE_S)


def test_an_ended_stream_is_no_live_stream(live: Media) -> None:
    assert live.end("ffmpeg-a-sport") is not None  # ffmpeg closes the playlist with EXT-X-ENDLIST as it leaves
    assert "#EXT-X-ENDLIST" in (live.logs / "a" / "sport" / "index.m3u8").read_text()
    left = all_are(BOTH) | {"sport gtm": ONLY_B, "sport unbound": ONLY_B}
    live.until(live.everybody, left, SETTLE_S)
    live.encode("a", "sport", live.logs / "a")
    live.until(live.everybody, all_are(BOTH), SETTLE_S)


def test_the_resolver_learns_of_the_delegation_from_the_parent_alone(live: Media) -> None:
    referral = live.run(
        "dig", f"@{PARENT}", "news.live.example.com", "+norecurse", "+noall", "+authority", "+additional"
    )
    assert "live.example.com." in referral
    assert f"A\t{GTM}" in referral
    answer = live.run("dig", f"@{RESOLVER}", "live.example.com", "NS", "+short")
    assert answer.strip() == "ns1.live.example.com."
