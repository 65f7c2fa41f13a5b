"""Host names at the apex of a zone are answered as the addresses behind them, for no CNAME may stand there."""

from __future__ import annotations

from gtm import events, seen, view
from tests.stories.world import World

CONFIG = """
checks: {up: {kind: tcp, port: 443, every: 1s, timeout: 500ms}}
endpoints:
  cdn: {hostname: edge.cdn.example.net., check: none}
  spare: {address: 192.0.2.9, check: none}
pools: {far: {members: [cdn]}, near: {members: [spare]}}
zones:
  example.org:
    nameservers: {ns1: [203.0.113.53]}
    steer:
      "@": {try: [far, near], https: {alpn: h2}, ttl: 5s..30s}
      www: {try: [far, near]}
"""
HOST = "edge.cdn.example.net."


def followed(world: World, *addresses: str, ttl_s: int = 20) -> None:
    world.brain.feed(events.HostsFollowed({HOST: seen.Followed(addresses, ttl_s)}), world.now)
    world.run(1)


def test_the_apex_answers_addresses_where_another_name_answers_the_cname() -> None:
    world = World(CONFIG)
    followed(world, "192.0.2.1", "192.0.2.2", "2001:db8::1")
    assert world.ask("example.org") == ["192.0.2.1", "192.0.2.2"]
    assert world.ask("example.org", "AAAA") == ["2001:db8::1"]
    assert world.ttl("example.org") == 20  # no longer than the addresses hold
    assert world.ask("www.example.org") == [HOST]
    assert world.ask("example.org", "HTTPS") == ['1 . alpn="h2" ipv4hint="192.0.2.1,192.0.2.2" ipv6hint="2001:db8::1"']
    assert world.ask("example.org", "TXT") == []
    assert world.ask("example.org", "NS")


def test_another_address_is_answered_as_soon_as_it_is_known() -> None:
    world = World(CONFIG)
    followed(world, "192.0.2.1")
    followed(world, "192.0.2.7")
    assert world.ask("example.org") == ["192.0.2.7"]
    assert world.ask("example.org", "AAAA") == []  # B6: NODATA


def test_a_host_name_that_leads_nowhere_yet_leaves_the_apex_to_the_next_pool() -> None:
    world = World(CONFIG)
    world.run(1)
    assert world.ask("example.org") == ["192.0.2.9"]
    said = view.explain_name(world.brain, world.now, name="example.org")
    assert "was not found yet" in said["tried"][0]["members"][0]["reason"]
    followed(world, "192.0.2.1")
    assert world.ask("example.org") == ["192.0.2.1"]
    assert view.explain_name(world.brain, world.now, name="example.org")["answers"] == ["192.0.2.1"]
