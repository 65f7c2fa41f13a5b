"""A small world for the tests of the wire: zones from text, policies, rings without health, and somebody to ask."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from gtm import model, seen, table
from gtm.wire import compile as compiler
from gtm.wire import records, respond

STRANGER = "198.51.100.9"  # asks from outside `explain_to`


def number(address: str) -> tuple[int, int]:
    found = ipaddress.ip_address(address)
    return found.version, int(found)


def zone(name: str, text: str, steer: Mapping[str, int] | None = None, **fields: object) -> model.Zone:
    """Return a zone whose records stand in `text` as a zone file, SOA and NS too where it says them."""
    found = records.Reader().zone_file(text, name, 300)
    return model.Zone(name, records=found, steer=steer or {}, **fields)  # type: ignore[arg-type]


def snapshot(
    *zones: model.Zone,
    endpoints: Sequence[model.Endpoint] = (),
    pools: Sequence[model.Pool] = (),
    policies: Sequence[model.Policy] = (),
) -> model.Snapshot:
    return model.Snapshot(
        digest="digest-of-the-test",
        node="node-1",
        dns=model.DnsSettings(),
        web=model.WebSettings(),
        store="memory:",
        geo_databases=(),
        regions={},
        profiles={},
        endpoints={one.name: one for one in endpoints},
        sites={},
        pools={one.name: one for one in pools},
        policies=tuple(policies),
        zones=zones,
        checks={},
    )


def pool(name: str, *members: str, **fields: object) -> model.Pool:
    return model.Pool(name, tuple(model.Member(member) for member in members), **fields)  # type: ignore[arg-type]


def policy(*pools: str, rules: int = 1, **fields: object) -> model.Policy:
    """Return a policy of `rules` rules that all try `pools`."""
    return model.Policy(tuple(model.Rule(None, pools) for _ in range(rules)), **fields)  # type: ignore[arg-type]


def decision(
    *replies: Sequence[str],
    slots: Sequence[int] | None = None,
    ttl_s: int = 5,
    sticky: tuple[int, int] | None = None,
    rcode: int = 0,
    pool: str = "p",
    why: str = "rule 1; pool p; ttl 5",
) -> seen.Decision:
    """Return a decision that answers each of `replies` in turn: addresses, or one host name."""

    def answer(value: str) -> seen.Answer:
        if value.endswith("."):
            return seen.Answer(f"at-{value}", "cname", value)
        return seen.Answer(f"at-{value}", "ipv6" if ":" in value else "ipv4", value)

    return seen.Decision(
        rule=1,
        rung="first",
        pool=pool,
        tried=(),
        replies=tuple(tuple(answer(value) for value in reply) for reply in replies),
        slots=tuple(range(len(replies)) if slots is None else slots),
        ttl_s=ttl_s,
        sticky=sticky,
        rcode=rcode,
        why=why,
    )


def rings(*decisions: seen.Decision) -> tuple[table.Ring, ...]:
    return tuple(compiler.ring(one) for one in decisions)


def prefixes(*parts: tuple[str, int], nowhere: int = 0, default: int = 0) -> table.PrefixTable:
    """Return the table in which each network has its value; longer networks win, the rest is `default`."""
    columns: dict[int, tuple[list[int], list[int]]] = {}
    for version, bits in ((4, 32), (6, 128)):
        networks = [(ipaddress.ip_network(text), value) for text, value in parts]
        mine = sorted((one for one in networks if one[0].version == version), key=lambda one: one[0].prefixlen)
        edges = {0}
        for network, _ in mine:
            edges |= {int(network.network_address), int(network.broadcast_address) + 1}
        starts: list[int] = []
        values: list[int] = []
        for edge in sorted(edges - {1 << bits}):
            value = default
            for network, of in mine:
                if int(network.network_address) <= edge <= int(network.broadcast_address):
                    value = of
            if not values or values[-1] != value:
                starts.append(edge)
                values.append(value)
        columns[version] = (starts, values)
    return table.PrefixTable(
        tuple(columns[4][0]), tuple(columns[4][1]), tuple(columns[6][0]), tuple(columns[6][1]), nowhere
    )


class Server:
    """A responder with somebody who asks it through dnspython, which checks every answer as it reads it."""

    def __init__(self, whole: table.AnswerTable, seed: int = 1) -> None:
        self.table = whole
        self.responder = respond.Responder(whole, seed=seed)

    def raw(self, packet: bytes, *, sender: str = STRANGER, transport: str = "udp") -> bytes | None:
        return self.responder.answer(packet, *number(sender), transport)

    def ask(
        self,
        name: str,
        rtype: str = "A",
        *,
        sender: str = STRANGER,
        transport: str = "udp",
        subnet: str = "",
        payload: int = 1232,
        edns: bool = False,
        options: Sequence[dns.edns.Option] = (),
        rdclass: str = "IN",
        flags: int = 0,
    ) -> dns.message.Message:
        """Ask and return the answer, having checked that it is one to this question."""
        asked = [*options, *([dns.edns.ECSOption.from_text(subnet)] if subnet else [])]
        query = dns.message.make_query(name, rtype, rdclass, flags=flags)
        if edns or asked or payload != 1232:
            query.use_edns(0, payload=payload, options=asked)
        reply = self.raw(query.to_wire(), sender=sender, transport=transport)
        assert reply is not None
        answer = dns.message.from_wire(reply)
        assert query.is_response(answer)
        return answer


def serve(*zones: model.Zone, **fields: object) -> Server:
    """Return a server for static zones."""
    return Server(build(snapshot(*zones), **fields))  # type: ignore[arg-type]


def build(
    whole: model.Snapshot,
    *,
    steerings: Sequence[table.Steering] = (),
    prefixes: Sequence[table.PrefixTable] = (),
    rings: Sequence[table.Ring] = (),
    revision: int = 1,
    places: table.PrefixTable | None = None,
    place_names: tuple[str, ...] = (),
) -> table.AnswerTable:
    return compiler.build(
        whole,
        revision=revision,
        steerings=tuple(steerings),
        prefixes=tuple(prefixes),
        rings=tuple(rings),
        places=places,
        place_names=place_names,
        shared_key=b"the key of the test",
    )


def values(answer: dns.message.Message) -> list[str]:
    """Return the rdata of the answer section, in order, as text."""
    return [rdata.to_text() for rrset in answer.answer for rdata in rrset]


def owners(answer: dns.message.Message) -> list[str]:
    """Return owner and type of each RRset of the answer section."""
    return [f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)}" for rrset in answer.answer]


def rcode(answer: dns.message.Message) -> str:
    return dns.rcode.to_text(answer.rcode())


def is_authoritative(answer: dns.message.Message) -> bool:
    return bool(answer.flags & dns.flags.AA)


def soa(answer: dns.message.Message) -> str:
    """Return the zone whose SOA stands in authority, empty when there is none."""
    return str(answer.authority[0].name) if answer.authority and answer.authority[0].rdtype == 6 else ""


def scope(answer: dns.message.Message) -> int:
    """Return the ECS scope; the option has to be there once."""
    (found,) = [option for option in answer.options if isinstance(option, dns.edns.ECSOption)]
    return found.scopelen
