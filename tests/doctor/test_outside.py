"""`gtm doctor` from outside: what it finds where everything is well, and each fault that a test plants."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator

import pytest_asyncio

from gtm import model
from gtm.app import delegation, doctor, finding
from gtm.probes import ask
from tests.doctor import nameservers
from tests.doctor.nameservers import Faults, Server

RESOLVER, PARENT, NS1, NS2, STRANGER = (f"127.77.0.{last}" for last in (1, 2, 11, 12, 13))
ZONE, DIGEST = "live.example.", "d1" * 32
APEX = "@ 3600 IN NS ns1\n@ 3600 IN NS ns2\nns1 3600 IN A 127.77.0.11\nns2 3600 IN A 127.77.0.12\n"
LONG = "long 60 IN TXT " + " ".join(f'"{"x" * 200}"' for _ in range(4)) + "\n"
CHILD = "@ 3600 IN SOA ns1 ops 7 14400 3600 1209600 10\n" + APEX + LONG
ABOVE = "@ 3600 IN SOA a.nic.example. ops 1 1 1 1 1\n@ 3600 IN NS a.nic\na.nic 3600 IN A 127.77.0.2\n"
DELEGATED = ABOVE + APEX.replace("@", "live").replace("ns1", "ns1.live").replace("ns2", "ns2.live")
OURS = {"ns1.live.example.": (NS1,), "ns2.live.example.": (NS2,)}
WELL, SERVED = Faults(digest=DIGEST), delegation.Zone(ZONE, OURS, ("long.live.example.", "TXT"))
QUICK = ask.How(timeout_s=0.3, tries=1)


@dataclasses.dataclass
class World:
    """A parent and two nameservers, with what a test plants in them."""

    net: nameservers.Net
    parent: str = DELEGATED
    first: str = CHILD
    second: str = CHILD
    faults: Faults = WELL
    zone: delegation.Zone = SERVED
    resolvers: tuple[str, ...] = (RESOLVER,)

    async def findings(self) -> list[finding.Finding]:
        """Start all servers, and return what is found that is not well."""
        return [one for one in await self.all() if one.level != "ok"]

    async def all(self) -> list[finding.Finding]:
        knows = Server(Faults(recursive=True), ("example.", DELEGATED))
        await self.net.serve(RESOLVER, knows)
        await self.net.serve(PARENT, Server(Faults(), ("example.", self.parent)))
        await self.net.serve(NS1, Server(Faults(digest=DIGEST), (ZONE, self.first)))
        await self.net.serve(NS2, Server(self.faults, (ZONE, self.second)))
        asker = delegation.Asker(
            tuple(model.Listen(one, self.net.port) for one in self.resolvers), self.net.port, QUICK
        )
        told = {"findings": [], "zones": [dataclasses.asdict(self.zone)], "digest": DIGEST, "left_out": 0}
        return await doctor.examine(told, asker)


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    async with nameservers.net((RESOLVER, PARENT, NS1, NS2)) as net:
        yield World(net)


async def only(world: World) -> finding.Finding:
    """Return the one finding that there is."""
    found = await world.findings()
    assert len(found) == 1, found
    assert found[0].do
    return found[0]


async def test_where_all_is_well_it_says_what_it_saw(world: World) -> None:
    found = await world.all()
    assert {one.level for one in found} == {"ok"}
    said = [one.what for one in found]
    assert said[0] == "example names ns1.live.example, ns2.live.example, as we do, with the same glue"
    assert said.count("authoritative over UDP, TCP and EDNS") == 2
    assert said[-1] == (
        "the 2 addresses that answer have the serial 7; 2 of them tell their configuration's digest, which is ours"
    )


async def test_a_zone_that_the_parent_does_not_know_is_an_error(world: World) -> None:
    world.parent = ABOVE
    found = await only(world)
    assert (found.level, found.what) == ("error", "example does not delegate it")
    assert "ns1.live.example, ns2.live.example" in found.do


async def test_a_nameserver_that_the_parent_leaves_out_is_a_warning(world: World) -> None:
    world.parent = DELEGATED.replace("live 3600 IN NS ns2.live\n", "")
    found = await only(world)
    assert (found.level, found.what) == ("warning", "example does not name ns2.live.example, as we do")


async def test_a_nameserver_that_only_the_parent_knows_is_an_error_and_is_asked(world: World) -> None:
    world.parent = DELEGATED + f"live 3600 IN NS old.live\nold.live 3600 IN A {STRANGER}\n"
    said = {one.about: one.what for one in await world.findings()}
    assert said["live.example at its parent"] == "example names old.live.example, and we do not"
    assert "no answer" in said[f"old.live.example ({STRANGER}) of live.example"]


async def test_missing_glue_is_an_error(world: World) -> None:
    world.parent = DELEGATED.replace("ns2.live 3600 IN A 127.77.0.12\n", "")
    found = await only(world)
    assert found.level == "error"
    assert found.what == "example has no glue for it: nobody can find it"
    assert NS2 in found.do


async def test_glue_that_is_not_ours_is_an_error_and_glue_that_is_not_all_a_warning(world: World) -> None:
    world.zone = delegation.Zone(ZONE, OURS | {"ns2.live.example.": (NS1,), "ns1.live.example.": (NS1, NS2)})
    said = {(one.level, one.about.split()[0], one.what) for one in await world.findings()}
    assert said == {
        ("error", "ns2.live.example", f"its glue {NS2} is not what we serve"),
        ("warning", "ns1.live.example", f"example has no glue for {NS2}"),
    }


async def test_a_lame_delegation_is_an_error(world: World) -> None:
    world.faults = Faults(lame=True)
    found = await only(world)
    assert found.level == "error"
    assert found.about == f"ns2.live.example ({NS2}) of live.example"
    assert found.what == "it does not serve the zone (lame): REFUSED, not authoritative"


async def test_a_closed_tcp_port_is_an_error(world: World) -> None:
    world.faults = Faults(tcp=False)
    found = await only(world)
    assert (found.level, found.what) == ("error", "no answer over TCP: connection refused")
    assert f"open port {world.net.port} for TCP" in found.do


async def test_a_server_that_answers_over_tcp_alone_is_an_error(world: World) -> None:
    world.faults = Faults(udp=False)
    found = await only(world)
    assert (found.level, found.what) == ("error", "it answers over TCP, but not over UDP: no answer within 0.3 s")


async def test_a_server_that_drops_edns_and_one_that_ignores_it_are_told_apart(world: World) -> None:
    world.faults = Faults(edns="drops")
    assert (await only(world)).what == "it answers nothing to questions with EDNS, but those without"


async def test_a_server_that_ignores_edns_is_an_error(world: World) -> None:
    world.faults = Faults(edns="ignores")
    assert (await only(world)).what == "it answers without EDNS"


async def test_a_dead_server_is_an_error(world: World) -> None:
    world.faults = Faults(udp=False, tcp=False)
    found = await only(world)
    assert (found.level, found.what) == ("error", "no answer within 0.3 s")
    assert f"does it listen on port {world.net.port} there" in found.do


async def test_an_answer_that_is_too_long_and_does_not_say_so_is_a_warning(world: World) -> None:
    world.faults = Faults(cuts=False)
    found = await only(world)
    assert found.level == "warning"
    assert found.what.startswith("long.live.example TXT came over UDP with 8")


async def test_an_address_that_cannot_be_asked_from_here_is_a_warning(world: World) -> None:
    nowhere = "255.255.255.255"  # the kernel sends nothing there
    world.parent = DELEGATED + f"live 3600 IN NS far.live\nfar.live 3600 IN A {nowhere}\n"
    found = {one.about: one for one in await world.findings()}[f"far.live.example ({nowhere}) of live.example"]
    assert (found.level, found.what) == ("warning", "this machine has no road to it: permission denied")


async def test_another_set_of_nameservers_is_an_error(world: World) -> None:
    world.second = CHILD.replace("@ 3600 IN NS ns1\n", "")
    found = await only(world)
    assert (found.level, found.what) == (
        "error", "it names ns2.live.example, and we ns1.live.example, ns2.live.example",
    )  # fmt: skip


async def test_another_serial_is_a_warning(world: World) -> None:
    world.second = CHILD.replace(" 7 14400", " 8 14400")
    found = await only(world)
    assert (found.level, found.what) == ("warning", "its nameservers have different serials: 7, 8")


async def test_nodes_that_secondaries_follow_count_apart(world: World) -> None:
    world.zone = dataclasses.replace(world.zone, transferred=True)
    world.second = CHILD.replace(" 7 14400", " 8 14400")
    assert await world.findings() == []


async def test_a_secondary_that_lags_is_a_warning(world: World) -> None:
    world.zone = dataclasses.replace(world.zone, transferred=True)
    world.second = CHILD.replace(" 7 14400", " 6 14400")
    world.faults = Faults()
    found = await only(world)
    assert found.level == "warning"
    assert found.what == f"ns2.live.example ({NS2}) of live.example has 6; the nodes have 7"


async def test_another_soa_is_an_error(world: World) -> None:
    world.second = CHILD.replace("SOA ns1 ops", "SOA ns1 others")
    found = await only(world)
    assert found.level == "error"
    assert "others.live.example" in found.what


async def test_F6_another_configuration_is_an_error(world: World) -> None:
    world.faults = Faults(digest="ee" * 32)
    *_, found, serials = await world.all()
    assert "; 1 of them tell" in serials.what
    assert (found.level, found.what) == ("error", "its configuration is another: eeeeeeeeeeee, not d1d1d1d1d1d1")


async def test_without_a_resolver_the_nameservers_are_looked_at_all_the_same(world: World) -> None:
    world.resolvers = (STRANGER,)
    found = await world.all()
    assert [one.what for one in found if one.level == "error"] == [
        "the parent's nameservers were not found: no answer within 0.3 s"
    ]
    assert [one.what for one in found].count("authoritative over UDP, TCP and EDNS") == 2


async def test_it_ends_in_time_whatever_is_silent(world: World) -> None:
    world.faults = Faults(udp=False, tcp=False)
    await world.all()
    asker = delegation.Asker((model.Listen(RESOLVER, world.net.port),), world.net.port)
    told = {"findings": [], "zones": [dataclasses.asdict(world.zone)] * 20, "digest": "", "left_out": 3}
    found = await doctor.examine(told, asker, within_s=0.2)
    assert [one.about for one in found][-2:] == ["time", "zones"]
    assert "within 0.2 s" in found[-2].what
