"""Names answer services from the same decision as their addresses: HTTPS with hints, SRV with priority and weight."""

from __future__ import annotations

import dns.rdatatype

from gtm import view
from tests.stories.world import World

CONFIG = """
checks: {answers: {kind: tcp, port: 443, every: 1s, timeout: 500ms}}
endpoints:
  Fra-1: {address: [192.0.2.1, "2001:db8::1"], site: fra}
  ams-1: {address: 192.0.2.2, site: ams}
  nyc-1: {address: 192.0.2.3, site: nyc}
  spare: {address: 192.0.2.4, site: lab}
  slate: {address: 198.51.100.1, site: slate}
  cdn: {hostname: edge.cdn.example.net., check: none}
sites: {fra: {}, ams: {}, nyc: {}, lab: {}, slate: {}}
pools:
  main: {members: {Fra-1: 3, ams-1: 1, nyc-1: {weight: 1, tier: 2}, spare: 0}, check: answers}
  last: {members: [slate], check: answers}
  far: {members: [cdn]}
  near: {members: [Fra-1, ams-1], check: answers, balance: sticky}
zones:
  example.org:
    nameservers: {ns1: [203.0.113.53]}
    steer:
      "@": {try: [main, last], https: {alpn: [h2, h3]}, srv: {_rtmp._tcp: 1935}}
      play: {try: [main, last], https: {alpn: h3, port: 8443}, srv: {_rtmp._tcp: 1935, _srt._udp: 9000}, ttl: 7s}
      cdn: {try: [far], https: {}, srv: {_rtmp._tcp: 1935}}
      near: {try: [near], srv: {_rtmp._tcp: 1935}}
      "*.ch": {try: [main], https: {alpn: h2}}
      none: {try: [main], https: {}, srv: {_rtmp._tcp: 1935}, when_all_down: servfail}
"""
PLAY = "play.example.org"


def judged() -> World:
    world = World(CONFIG)
    world.run(5)
    return world


def test_https_hints_are_the_addresses_of_the_members_in_the_answer() -> None:
    world = judged()
    found = world.ever(PLAY, "HTTPS")
    assert found == {
        '1 . alpn="h3" port="8443" ipv4hint="192.0.2.1,192.0.2.2" ipv6hint="2001:db8::1"',
        '1 . alpn="h3" port="8443" ipv4hint="192.0.2.2,192.0.2.1" ipv6hint="2001:db8::1"',
    }
    assert world.ttl(PLAY, "HTTPS") == world.ttl(PLAY, "A") == 7


def test_https_at_the_apex_stands_beside_soa_and_ns_and_under_a_wildcard() -> None:
    world = judged()
    assert '1 . alpn="h2,h3"' in world.ask("example.org", "HTTPS")[0]
    assert world.ask("example.org", "NS")
    assert 'alpn="h2"' in world.ask("x.y.ch.example.org", "HTTPS")[0]
    assert world.ask("near.example.org", "HTTPS") == []


def test_a_member_that_is_down_is_in_no_hint_and_no_srv() -> None:
    world = judged()
    world.sick["Fra-1"] = "refused"
    world.run(5)
    assert world.ever(PLAY, "HTTPS") == {'1 . alpn="h3" port="8443" ipv4hint="192.0.2.2"'}
    assert world.ask(f"_rtmp._tcp.{PLAY}", "SRV") == [
        "1 1 1935 ams-1.ep.example.org.",
        "2 1 1935 spare.ep.example.org.",
        "3 1 1935 nyc-1.ep.example.org.",
    ]


def test_srv_has_priorities_by_tier_and_weights_by_weight_and_targets_with_addresses() -> None:
    world = judged()
    wanted = [
        "1 1 1935 ams-1.ep.example.org.",
        "1 3 1935 fra-1.ep.example.org.",
        "2 1 1935 spare.ep.example.org.",
        "3 1 1935 nyc-1.ep.example.org.",
    ]
    assert sorted(world.ever(f"_rtmp._tcp.{PLAY}", "SRV")) == wanted
    assert sorted(world.ask("_rtmp._tcp.example.org", "SRV")) == wanted
    assert {one.split()[2] for one in world.ask(f"_srt._udp.{PLAY}", "SRV")} == {"9000"}
    assert world.ask("fra-1.ep.example.org") == ["192.0.2.1"]
    assert world.ask("fra-1.ep.example.org", "AAAA") == ["2001:db8::1"]


def test_B3_when_the_pool_fails_srv_is_of_the_next_pool_alone() -> None:
    world = judged()
    for one in ("Fra-1", "ams-1", "nyc-1", "spare"):
        world.sick[one] = "refused"
    world.run(8)
    assert world.ask(f"_rtmp._tcp.{PLAY}", "SRV") == ["1 1 1935 slate.ep.example.org."]
    assert world.ever(PLAY, "HTTPS") == {'1 . alpn="h3" port="8443" ipv4hint="198.51.100.1"'}
    for kind, owner in (("HTTPS", "none.example.org"), ("SRV", "_rtmp._tcp.none.example.org")):
        assert world.message(owner, kind).rcode() == 2  # B4: servfail for every type


def test_a_host_name_is_its_own_target_and_stays_a_cname_for_https() -> None:
    world = judged()
    assert world.ask("_rtmp._tcp.cdn.example.org", "SRV") == ["1 1 1935 edge.cdn.example.net."]
    (rrset,) = world.message("cdn.example.org", "HTTPS").answer
    assert rrset.rdtype == dns.rdatatype.CNAME


def test_B8_a_sticky_client_is_sent_to_its_member_first_whatever_it_asks() -> None:
    world = judged()
    members = {"192.0.2.1": "fra-1", "192.0.2.2": "ams-1"}
    for at in range(40):
        place = f"203.0.{at}.0/24"
        best = min(world.ask("_rtmp._tcp.near.example.org", "SRV", subnet=place))
        assert best == f"1 1 1935 {members[world.ask('near.example.org', subnet=place)[0]]}.ep.example.org."


def test_E1_a_service_has_no_other_types_and_its_branch_exists() -> None:
    world = judged()
    for owner, kind in ((f"_rtmp._tcp.{PLAY}", "A"), (f"_tcp.{PLAY}", "SRV")):
        message = world.message(owner, kind)
        assert (message.rcode(), message.answer, len(message.authority)) == (0, [], 1)
    assert world.message(f"_other._tcp.{PLAY}", "SRV").rcode() == 3


def test_B7_of_more_than_eight_hosts_srv_names_eight_and_all_take_their_turn() -> None:
    many = [f"  e{at}: {{address: 192.0.2.{at}, check: none}}" for at in range(1, 13)]
    text = "\n".join([
        "endpoints:", *many, "pools:", f"  p: {{members: [{', '.join(f'e{at}' for at in range(1, 13))}]}}",
        "zones:", "  example.org:", "    nameservers: {ns1: [203.0.113.53]}",
        "    steer: {play: {try: [p], srv: {_rtmp._tcp: 1935}}}",
    ])  # fmt: skip
    world = World(text)
    world.run(1)
    assert len(world.ask(f"_rtmp._tcp.{PLAY}", "SRV", transport="tcp")) == 8
    assert len(world.ever(f"_rtmp._tcp.{PLAY}", "SRV", transport="tcp")) == 12


def test_services_are_explained_as_they_are_answered() -> None:
    world = judged()
    said = view.explain_name(world.brain, world.now, name=PLAY, qtype="HTTPS")
    assert {one.replace('"', "") for one in world.ever(PLAY, "HTTPS")} == set(said["answers"])
    assert said["ttl"] == 7
    assert said["tried"][0]["members"]
    down = view.explain_name(world.brain, world.now, name=f"_rtmp._tcp.{PLAY}", qtype="SRV", assume=["Fra-1=down"])
    assert down["answers"][0] == "1 1 1935 ams-1.ep.example.org."
    real = view.explain_name(world.brain, world.now, name=f"_rtmp._tcp.{PLAY}", qtype="SRV")
    assert sorted(real["answers"]) == sorted(world.ask(f"_rtmp._tcp.{PLAY}", "SRV"))
    assert (real["type"], real["pool"], real["rcode"]) == ("SRV", "main", "NOERROR")
