"""`gtm acme` on the command line: what it asks of the node, and what it says."""

from __future__ import annotations

import json

from tests.cli.conftest import Run
from tests.web import fake_node


def test_a_challenge_is_set_listed_and_cleared(fake: fake_node.FakeNode, gtm: Run) -> None:
    done = gtm("acme", "set", "example.com", "token", "--for", "30m")
    assert (done.exit_code, done.stdout.split(" until")[0]) == (0, "_acme-challenge.example.com TXT token")
    listed = gtm("acme", "list")
    assert "_acme-challenge.example.com " in listed.stdout
    assert "certbot" in listed.stdout
    assert gtm("acme", "clear", "example.com", "token").stdout == "cleared 1\n"
    assert fake.asked == [
        ("put_challenge", "example.com", "token", 1800.0, "loopback"),
        ("challenges",),
        ("drop_challenge", "example.com", "token", "loopback"),
    ]


def test_what_is_said_can_be_read_by_machines(gtm: Run) -> None:
    assert json.loads(gtm("acme", "set", "example.com", "t", "--json").stdout)["challenge"] == fake_node.CHALLENGE
    assert json.loads(gtm("acme", "list", "--json").stdout)["challenges"] == [fake_node.CHALLENGE]
    assert json.loads(gtm("acme", "clear", "example.com", "--json").stdout) == {"cleared": 1}


def test_what_the_node_refuses_ends_with_one_and_says_why(gtm: Run) -> None:
    refused = gtm("acme", "set", "nowhere", "token")
    assert refused.exit_code == 1
    assert "in no zone of ours" in refused.stderr
    assert gtm("acme", "clear", "nowhere").exit_code == 1
    assert gtm("acme", "set", "example.com", "t", "--for", "soon").exit_code == 2
