"""`gtm doctor` on the command line: tables, JSON, exit statuses, what is asked."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from click import shell_completion

from gtm.app import finding, machine
from gtm.cli import client, doctor, main
from gtm.web import node
from tests.cli.conftest import Run
from tests.web import fake_node

ROOT = Path(__file__).resolve().parents[2]
OK = {"level": "ok", "about": "store", "what": "it can be written", "do": ""}
WARNING = {"level": "warning", "about": "clock", "what": "nothing keeps it", "do": "run chrony"}
CLOCK = {"level": "ok", "about": "clock", "what": "it is kept right", "do": ""}
ERROR = {"level": "error", "about": "certificate", "what": "it ran out", "do": "renew it"}
EXAMPLE = [
    asdict(one)
    for one in (
        finding.ok("ports", "DNS listens on 0.0.0.0:53, [::]:53"),
        finding.ok("file limits", "524288 files a process, 1280 are needed"),
        finding.ok("clock", "it is kept right"),
        finding.warning(
            "certificate of DNS over TLS", "it runs out in 9 days", "renew it; a changed file is taken by itself"
        ),
        finding.error(
            "ns2.live.example.com at the parent of live.example.com",
            "its glue 192.0.2.40 is not what we serve",
            "give example.com the addresses that we serve: 192.0.2.54",
        ),
        finding.ok("ns1.live.example.com (192.0.2.53) of live.example.com", "authoritative over UDP, TCP and EDNS"),
    )
]


def test_the_example_in_the_documentation_is_what_is_printed(fake: fake_node.FakeNode, gtm: Run) -> None:
    fake.findings = EXAMPLE
    said = "\n".join(line.rstrip() for line in gtm("doctor", COLUMNS="124").stdout.splitlines())
    assert f"```\n{said}\n```" in (ROOT / "docs" / "operations.md").read_text()


def test_the_worst_comes_first_with_what_to_do_and_errors_are_exit_status_1(fake: fake_node.FakeNode, gtm: Run) -> None:
    fake.findings = [OK, WARNING, ERROR]
    result = gtm("doctor")
    assert result.exit_code == 1
    lines = [line.split() for line in result.stdout.splitlines() if line.strip().startswith(("✗", "!", "✓"))]
    assert lines == [
        ["✗", "error", "certificate", "it", "ran", "out", "renew", "it"],
        ["!", "warning", "clock", "nothing", "keeps", "it", "run", "chrony"],
        ["✓", "ok", "store", "it", "can", "be", "written"],
    ]
    assert result.stdout.endswith("1 error, 1 warning, 1 well\n")


def test_warnings_are_no_failure_unless_strict(fake: fake_node.FakeNode, gtm: Run) -> None:
    fake.findings = [OK, WARNING]
    assert gtm("doctor").exit_code == 0
    assert gtm("doctor", "--strict").exit_code == 1
    fake.findings = [OK, CLOCK]
    assert gtm("doctor", "--strict").exit_code == 0


def test_json_is_for_scripts(fake: fake_node.FakeNode, gtm: Run) -> None:
    fake.findings = [WARNING]
    assert json.loads(gtm("doctor", "--json").stdout) == {"ok": True, "node": "ns1", "findings": [WARNING]}
    assert json.loads(gtm("doctor", "--json", "--strict").stdout)["ok"] is False


def test_one_zone_is_asked_for_and_one_that_is_not_served_is_refused(fake: fake_node.FakeNode, gtm: Run) -> None:
    assert gtm("doctor", "live.example.com").exit_code == 0
    assert fake.asked[-1] == ("doctor", "live.example.com")
    fake.raises = node.Refused("no-match", "elsewhere.example. is not a zone of this configuration")
    result = gtm("doctor", "elsewhere.example")
    assert (result.exit_code, result.stderr) == (
        1, "Error: elsewhere.example. is not a zone of this configuration\n",
    )  # fmt: skip


def test_the_clock_is_looked_at_from_here_when_the_node_may_not(
    fake: fake_node.FakeNode, gtm: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "unsynchronised", lambda: True)
    assert "the kernel says that nothing keeps its clock right" in gtm("doctor").stdout
    fake.findings = [WARNING]
    assert "the kernel" not in gtm("doctor").stdout
    assert not client.on_this_machine("https://ns1.example:8053")


def test_what_is_no_answer_of_a_node_is_said(
    fake: fake_node.FakeNode, gtm: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.findings = [{"level": "ok"}]
    result = gtm("doctor")
    assert result.exit_code == 1
    assert "this is not what a gtm node says to its doctor" in result.stderr


def test_a_file_is_looked_at_without_a_node_and_a_refused_one_is_refused(gtm: Run, tmp_path: Path) -> None:
    good = tmp_path / "gtm.yaml"
    good.write_text('node: ns1\nstore: "memory:"\nzones: {}\n')
    said = json.loads(gtm("doctor", "-c", str(good), "--json").stdout)
    assert {one["about"] for one in said["findings"]} >= {"ports", "store"}
    good.write_text("node: [\n")
    assert gtm("doctor", "-c", str(good)).exit_code == 1


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("192.0.2.1", "192.0.2.1", 53), ("192.0.2.1:5353", "192.0.2.1", 5353), ("2001:db8::1", "2001:db8::1", 53),
     ("[2001:db8::1]:5353", "2001:db8::1", 5353)],
)  # fmt: skip
def test_a_resolver_is_an_address_with_or_without_a_port(text: str, host: str, port: int) -> None:
    found = doctor._resolver(text)
    assert (found.host, found.port) == (host, port)


@pytest.mark.parametrize("text", ["dns.example", "192.0.2.1:", "192.0.2.1:x", "", "192.0.2.1:99999"])
def test_what_is_no_address_of_a_resolver_is_wrong_usage(gtm: Run, text: str) -> None:
    assert gtm("doctor", "--resolver", text).exit_code == 2


def test_the_shell_completes_the_doctor() -> None:
    shell = shell_completion.ShellComplete(main.cli, {}, "gtm", "_GTM_COMPLETE")
    assert "doctor" in {one.value for one in shell.get_completions([], "do")}
    assert "--resolver" in {one.value for one in shell.get_completions(["doctor"], "--res")}
