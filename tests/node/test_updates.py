"""UPDATE over real sockets, as ACME clients send it (RFC 2136, RFC 8945): signed, or refused; done once only."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring
import dns.update
import pytest
import pytest_asyncio

from gtm.wire import tsig
from tests.node import running

SECRET = base64.b64encode(b"a secret of thirty-two bytes, ok").decode()
CONFIG = """
node: ns1
dns: {{listen: ["127.0.0.1:0", "0.0.0.0:0"], workers: 2, rate_limit: {{responses_per_second: 100}}}}
web: {{listen: "127.0.0.1:0"}}
store: sqlite://{folder}/gtm.db
endpoints: {{fra-1: {{address: 192.0.2.11}}}}
pools: {{eu: {{members: [fra-1], check: none}}}}
zones:
  live.example.com:
    acme:
      tsig:
        - {{name: certbot., secret_env: UPDATE_KEY}}
        - {{name: other., algorithm: hmac-sha512, secret_env: UPDATE_KEY}}
    nameservers: {{ns1: [127.0.0.1]}}
    steer: {{"@": eu, "*": eu}}
  deep.live.example.com: {{nameservers: {{ns1: [127.0.0.1]}}}}
"""
ZONE = "live.example.com."
WHERE = f"_acme-challenge.{ZONE}"
pytestmark = pytest.mark.asyncio(loop_scope="module")
DEEP, OTHER = f"deep.{ZONE}", "example.net."


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running_node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[running.Node]:
    folder = tmp_path_factory.mktemp("updates")
    async with running.node(CONFIG.format(folder=folder), folder, environment={"UPDATE_KEY": SECRET}) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def node(running_node: running.Node) -> AsyncIterator[running.Node]:
    """Return the node that the tests share; after each it has no challenges."""
    yield running_node
    for one in (await running_node.get("/api/v1/acme"))["challenges"]:
        gone = update()
        gone.delete(one["name"])
        assert await send(running_node, gone) == dns.rcode.NOERROR


def update(
    zone: str = ZONE, key: str = "certbot.", secret: str = SECRET, how: str = "hmac-sha256"
) -> dns.update.UpdateMessage:
    keyring = dns.tsigkeyring.from_text({key: secret})
    return dns.update.UpdateMessage(zone, keyring=keyring, keyname=dns.name.from_text(key), keyalgorithm=how)


async def send(node: running.Node, one: dns.message.Message, *, tcp: bool = False) -> dns.rcode.Rcode:
    how = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
    return (await how(one, node.dns[0], timeout=5, port=node.dns[1])).rcode()  # dnspython verifies the signature


async def test_signed_updates_set_and_clear_challenges_over_udp_and_tcp(node: running.Node) -> None:
    one = update()
    one.add(WHERE, 60, "TXT", '"first"')
    one.add(f"_acme-challenge.play.{ZONE}", 60, "TXT", "third")
    assert await send(node, one) == dns.rcode.NOERROR
    assert await node.answers(WHERE, "TXT") == {'"first"'}
    assert await node.answers(f"_acme-challenge.play.{ZONE}", "TXT") == {'"third"'}
    assert await node.answers(f"play.{ZONE}") == {"192.0.2.11"}
    one = update(key="other.", how="hmac-sha512")
    one.add(WHERE, 60, "TXT", '"second" "part"')  # strings are one text to who reads it (RFC 8555 section 8.4)
    assert await send(node, one, tcp=True) == dns.rcode.NOERROR
    assert await node.answers(WHERE, "TXT") == {'"first"', '"secondpart"'}
    one = update()
    one.delete(WHERE, "TXT", "first")
    one.delete(f"_acme-challenge.play.{ZONE}")
    assert await send(node, one) == dns.rcode.NOERROR
    assert await node.answers(WHERE, "TXT") == {'"secondpart"'}
    one = update()
    one.replace(WHERE, 60, "TXT", "new")
    anywhere = int((await node.get("/api/v1/status"))["listen"]["dns"][1].rpartition(":")[2])
    reply = await dns.asyncquery.udp(one, "127.0.0.2", timeout=5, port=anywhere)  # from the address that was asked
    assert reply.rcode() == dns.rcode.NOERROR
    assert await node.answers(WHERE, "TXT") == {'"new"'}
    held = (await node.get("/api/v1/acme"))["challenges"]
    assert [(one["value"], one["by"]) for one in held] == [("new", "UPDATE with the key certbot.")]
    assert 3500 < held[0]["until"] - time.time() < 3700


async def test_E4_what_is_not_signed_or_not_of_a_challenge_is_refused_and_changes_nothing(node: running.Node) -> None:
    plain = dns.update.UpdateMessage(ZONE)
    plain.add(WHERE, 60, "TXT", "x")
    assert await send(node, plain) == await send(node, plain, tcp=True) == dns.rcode.REFUSED
    for key, secret, error in (
        ("stranger.", SECRET, dns.tsig.PeerBadKey),
        ("certbot.", base64.b64encode(b"another secret").decode(), dns.tsig.PeerBadSignature),
    ):
        one = update(key=key, secret=secret)
        one.add(WHERE, 60, "TXT", "x")
        with pytest.raises(error):
            await send(node, one)
    cases: dict[str, tuple[str, tuple[Any, ...], dns.rcode.Rcode]] = {
        "an address": (ZONE, ("add", WHERE, 60, "A", "192.0.2.1"), dns.rcode.REFUSED),
        "another label": (ZONE, ("add", f"www.{ZONE}", 60, "TXT", "x"), dns.rcode.REFUSED),
        "every record": (ZONE, ("delete", f"www.{ZONE}"), dns.rcode.REFUSED),
        "no zone of ours": (OTHER, ("add", f"_acme-challenge.{OTHER}", 60, "TXT", "x"), dns.rcode.NOTAUTH),
        "no zone of the key": (DEEP, ("add", f"_acme-challenge.{DEEP}", 60, "TXT", "x"), dns.rcode.REFUSED),
        "a deeper zone": (ZONE, ("add", f"_acme-challenge.{DEEP}", 60, "TXT", "x"), dns.rcode.NOTZONE),
    }  # fmt: skip
    for about, (zone, (verb, *what), rcode) in cases.items():
        one = update(zone)
        if zone == ZONE:
            one.add(WHERE, 60, "TXT", "along")
        getattr(one, verb)(*what)
        assert await send(node, one) == rcode, about
    assert (await node.get("/api/v1/acme"))["challenges"] == []
    told = [one for one in (await node.get("/api/v1/events"))["events"] if one["after"] == "refused"]
    assert told
    assert all("UPDATE" in one["subject"] + one["cause"] for one in told)
    assert len(told) <= 8  # however many there were


async def test_the_same_message_again_gets_the_same_answer_and_changes_nothing(node: running.Node) -> None:
    one = update()
    one.add(WHERE, 60, "TXT", "once")
    wire = one.to_wire()
    again = update()
    again.delete(WHERE)
    replies = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect(node.dns)
        for packet in (wire, wire, again.to_wire(), wire):
            sock.send(packet)
            replies.append(sock.recv(4096))
    assert replies[0] == replies[1] == replies[3]
    assert await node.answers(WHERE, "TXT") == set()  # a record of the first was played back to no effect
    late = dns.update.UpdateMessage(ZONE)
    late.add(WHERE, 60, "TXT", "late")
    key = tsig.Key(b"\x07certbot\0", "hmac-sha256", base64.b64decode(SECRET))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect(node.dns)
        sock.send(tsig.Signer(key).sign(late.to_wire(), time.time() - 400))
        found = tsig.read(sock.recv(4096))
    assert found is not None
    assert found.error == tsig.BADTIME
    assert await node.answers(WHERE, "TXT") == set()


async def test_E4_where_nothing_is_configured_updates_are_notimp_as_before(tmp_path: Path) -> None:
    before, _, after = CONFIG.partition("    acme:")
    text = (before + "    nameservers" + after.partition("    nameservers")[2]).format(folder=tmp_path)
    assert "UPDATE_KEY" not in text
    async with running.node(text, tmp_path) as node:
        plain = dns.update.UpdateMessage(ZONE)
        plain.add(WHERE, 60, "TXT", "x")
        assert await send(node, plain) == dns.rcode.NOTIMP
