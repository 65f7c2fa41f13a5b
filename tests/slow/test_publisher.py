"""An ffmpeg publisher that finds its ingest by GTM's DNS alone: over when the ingest dies, home when it is done.

The namespace's resolv.conf names the node, so that ffmpeg resolves as any encoder does, at each connection anew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slow import fault_world, hosts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

MAIN, BACKUP, NODE = "127.20.1.1", "127.20.1.2", "127.53.0.1"
NAME = "studio.feeds.example.org"
SETTLE_S = 40.0
DETECTS_S = 9.5  # healthchecks/nginx-rtmp.yaml
HELD_S = 25.0  # five looks of the check: three make the ingest well again, and then there are two to be tempted by

CONFIG = f"""
node: ns1-publisher
dns: {{listen: "{NODE}:53", workers: 1}}
web: {{listen: "{NODE}:8053"}}
store: "memory:"
include: ["healthchecks/nginx-rtmp.yaml"]
endpoints:
  main: {{address: {MAIN}}}
  backup: {{address: {BACKUP}}}
pools:
  ingest-main: {{members: [main], check: nginx-rtmp, failback: when_idle}}
  ingest-backup: {{members: [backup], check: nginx-rtmp}}
zones:
  feeds.example.org:
    nameservers: {{ns1: {NODE}}}
    hostmaster: ops@example.org
    steer:
      studio: {{try: [ingest-main, ingest-backup], ttl: 1s..5s}}
"""
RTMP = "rtmp {{ server {{ listen {address}:1935; application live {{ live on; record off; }} }} }}"
STAT = "server {{ listen {address}:8080; location /stat {{ rtmp_stat all; }} }}"
# Encoders try again for ever (OBS after two seconds), and ask DNS each time.
PUBLISHER = """trap 'kill $!; exit 0' TERM
while :; do {play} {clip} -c copy -f flv rtmp://{name}/live/cam1 & wait $!; sleep 1 & wait $!; done"""


class Studio(hosts.Namespace):
    """A node, two ingests, and an encoder that knows a name."""

    def ingest(self, name: str, address: str) -> None:
        """Start an ingest with its statistics."""
        config = self.logs / f"{name}.conf"
        values = {"folder": self.logs, "name": name, "module": fault_world.RTMP_MODULE}
        rtmp, http = RTMP.format(address=address), STAT.format(address=address)
        config.write_text(fault_world.NGINX.format(rtmp=rtmp, http=http, **values))
        self.start(name, ["nginx", "-c", str(config), "-e", str(self.logs / f"{name}.error.log")])

    def publish(self) -> None:
        """Start the encoder."""
        words = PUBLISHER.format(play=fault_world.PLAY, clip=self.logs / "clip.mp4", name=NAME)
        self.start("publisher", ["sh", "-c", words])

    def answer(self) -> str:
        """Return what the node answers."""
        return self.run("dig", f"@{NODE}", NAME, "+short", "+time=2").strip()

    def connections(self) -> list[list[str]]:
        """Return the encoder's connections, each with its own port: both ends, without what waits in their queues."""
        lines = self.run("ss", "-Htn", "state", "established", "dport", "=", ":1935").splitlines()
        return [line.split()[-2:] for line in lines]

    def publishes_to(self) -> str:
        """Return the ingest to which the encoder sends, empty for none."""
        return " ".join(sorted({there.removesuffix(":1935") for _, there in self.connections()}))

    def said(self) -> str:
        """Return what the node said so far."""
        return (self.logs / "node.log").read_text()


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    name = f"gtm-publisher-{os.getpid()}"
    resolver = Path("/etc/netns") / name  # what is there is laid over /etc in the namespace: ip-netns(8)
    resolver.mkdir(parents=True)
    try:
        (resolver / "resolv.conf").write_text(f"nameserver {NODE}\noptions timeout:1 attempts:2\n")
        with hosts.namespace(name, tmp_path, Studio) as made:
            yield made
    finally:
        shutil.rmtree(resolver)


def test_B11_a_publisher_fails_over_and_is_not_torn_home_before_it_has_gone(studio: Studio) -> None:
    subprocess.run([*fault_world.clip(), str(studio.logs / "clip.mp4")], check=True)
    shutil.copytree(fault_world.ROOT / "healthchecks", studio.logs / "healthchecks")
    (studio.logs / "gtm.yaml").write_text(CONFIG)
    studio.ingest("main", MAIN)
    studio.ingest("backup", BACKUP)
    environment = {"PYTHONPATH": str(fault_world.ROOT)}
    studio.start("node", [*hosts.GTM, "serve", "-c", str(studio.logs / "gtm.yaml")], environment)
    studio.until(lambda: "warming up -> judged" in studio.said(), True, SETTLE_S)
    studio.until(studio.answer, MAIN, SETTLE_S)
    studio.publish()
    studio.until(studio.publishes_to, MAIN, SETTLE_S)

    studio.kill("main")
    away_s = studio.until(studio.answer, BACKUP, DETECTS_S + hosts.LOOK_S)
    over_s = away_s + studio.until(studio.publishes_to, BACKUP, SETTLE_S)
    sends = studio.connections()

    studio.ingest("main", MAIN)
    studio.until(lambda: "main: down -> up" in studio.said(), True, SETTLE_S)
    ends_s = time.monotonic() + HELD_S
    while time.monotonic() < ends_s:
        assert studio.answer() == BACKUP, "the publisher is still there"
        assert studio.connections() == sends, "and nobody disturbs it"
        time.sleep(hosts.LOOK_S)

    assert studio.end("publisher") == 0
    home_s = studio.until(studio.answer, MAIN, DETECTS_S)
    assert "given back (ipv4: nobody publishes to those that stood in for it)" in studio.said()
    studio.publish()
    studio.until(studio.publishes_to, MAIN, SETTLE_S)
    print(f"\nanswers moved in {away_s:.1f} s, the publisher in {over_s:.1f} s; home {home_s:.1f} s after it left")
