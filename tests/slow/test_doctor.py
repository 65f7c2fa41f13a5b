"""`gtm doctor` in a closed world: two nodes below a fake root, looked at through a real resolver; then faults in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.slow import delegated, hosts, recursors

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

RESOLVER = recursors.ALL["unbound"].address


class Trusting(delegated.World):
    """A world whose nodes tell their digest to everybody in it."""

    explain_to = '192.0.2.0/24, "2001:db8::/32"'


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[delegated.World]:
    with delegated.world(tmp_path_factory.mktemp("doctor"), Trusting) as made:
        recursors.start(made, "unbound")
        yield made


def doctor(world: delegated.World, *words: str) -> dict[str, Any]:
    """Return what the doctor says."""
    found: dict[str, Any] = json.loads(world.run(*hosts.GTM, "doctor", "--resolver", RESOLVER, "--json", *words))
    return found


def about_dns(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return level, subject and words of what was found outside of the machine."""
    return [(one["level"], one["about"], one["what"]) for one in found["findings"] if delegated.ZONE in one["about"]]


@pytest.mark.parametrize("where", ["running", "file"])
def test_the_doctor_finds_a_good_zone_good(world: delegated.World, where: str) -> None:
    node = ("--url", "http://127.0.0.1:8051")
    said = doctor(world, *(node if where == "running" else ("-c", str(world.logs / "ns1" / "gtm.yaml"))))
    found = about_dns(said)
    assert said["ok"], said
    assert {level for level, _, _ in found} == {"ok"}
    served = [about for _, about, what in found if what == "authoritative over UDP, TCP and EDNS"]
    assert len(served) == 4, "both nodes, over both families"
    assert found[-1][2].endswith("4 of them tell their configuration's digest, which is ours")


def test_the_doctor_prints_a_table_for_people(world: delegated.World) -> None:
    said = world.run(*hosts.GTM, "doctor", delegated.ZONE, "--resolver", RESOLVER, "--url", "http://127.0.0.1:8051")
    assert "✓ ok" in said
    assert "0 errors" in said.splitlines()[-1]


def test_a_family_of_addresses_that_is_not_spoken_here_is_a_warning_and_no_error(world: delegated.World) -> None:
    with world.without(delegated.OURS["ns2"][1]):
        said = doctor(world, "--url", "http://127.0.0.1:8051")
    assert said["ok"], said
    (found,) = [one for one in said["findings"] if one["level"] == "warning" and delegated.ZONE in one["about"]]
    assert found["what"] == "this machine has no road to it: network is unreachable"


def test_a_delegation_that_is_really_broken_is_found_with_what_to_do(world: delegated.World) -> None:
    (ns1, ns1_v6), (ns2, _) = delegated.OURS["ns1"], delegated.OURS["ns2"]
    file = world.logs / "broken.yaml"
    text = (world.logs / "ns1" / "gtm.yaml").read_text().replace(ns2, "192.0.2.77")  # the parent's glue is older
    # The parent has delegated this one to us, and nobody serves it.
    file.write_text(f"{text}  lame.example: {{nameservers: {{ns1.{delegated.ZONE}.: [{ns1}]}}}}\n")
    world.run("ip", "rule", "add", "pref", "100", "lookup", "local")
    world.run("ip", "rule", "del", "pref", "0")
    world.run("ip", "rule", "add", "pref", "1", "to", ns1, "ipproto", "tcp", "dport", "53", "unreachable")
    try:
        said = doctor(world, "-c", str(file))
    finally:
        world.run("ip", "rule", "add", "pref", "0", "lookup", "local")
        for pref in ("1", "100"):
            world.run("ip", "rule", "del", "pref", pref)
    assert not said["ok"]
    found = {(one["about"], one["what"].partition(":")[0]): one["do"] for one in said["findings"] if one["do"]}
    for about, what in (
        (f"ns2.{delegated.ZONE} at the parent of {delegated.ZONE}", f"its glue {ns2} is not what we serve"),
        (f"ns2.{delegated.ZONE} (192.0.2.77) of {delegated.ZONE}", ""),
        (f"ns1.{delegated.ZONE} ({ns1}) of {delegated.ZONE}", "no answer over TCP"),
        (f"ns1.{delegated.ZONE} ({ns1}) of lame.example", "it does not serve the zone (lame)"),
    ):
        assert any(key[0] == about and what in key[1] for key in found), (about, what, found)
    v6 = f"ns1.{delegated.ZONE} ({ns1_v6}) of {delegated.ZONE}"
    assert [what for about, what in found if about == v6] == ["its configuration is another"], "it answers over TCP"


def test_F6_the_doctor_sees_that_a_node_is_gone_and_that_another_has_another_configuration(
    world: delegated.World,
) -> None:
    world.end("ns2")
    file = world.logs / "ns2" / "gtm.yaml"
    found = about_dns(doctor(world, "-c", str(file)))
    assert {about for level, about, _ in found if level == "error"} == {
        f"ns2.{delegated.ZONE} ({address}) of {delegated.ZONE}" for address in delegated.OURS["ns2"]
    }
    file.write_text(file.read_text().replace("192.0.2.144", "192.0.2.145"))
    world.start("ns2", [*hosts.GTM, "serve", "-c", str(file)])
    world.until(lambda: world.answers(delegated.OURS["ns2"][0], delegated.ZONE), True, delegated.SETTLE_S)
    said = doctor(world, "--url", "http://127.0.0.1:8051")
    assert not said["ok"]
    what = [what for level, about, what in about_dns(said) if level == "error" and about.startswith("ns2")]
    assert len(what) == 2
    assert all(one.startswith("its configuration is another: ") for one in what)
