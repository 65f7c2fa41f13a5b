"""A systemd that was really booted runs the units as they are shipped, installed as systemd/README.md says.

The tests are one story on one machine, in this order. Needs PyPI, by pip, as a reader of that page does.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trustme

import gtm
from tests.slow import booted, stream

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(600)]

PAGE = (booted.ROOT / "systemd" / "README.md").read_text()
LINEAGE = "/etc/letsencrypt/live/ns1.live.example.com"  # certbot's word for where it leaves what it renews
PLAY, FILMS, RADIO = "play.live.example.com", "play.vod.example.com", "play.radio.example.com"
RATE = {"udp": "200", "tcp": "2"}  # a client may have 32 connections, and all wait while there is nobody
WATCHDOG_S = 5
# How long nobody may be answered on a starved machine; what it is on a sound one is printed. tests/slow/test_replace.py
# holds a replacement to 50 ms. In a restart it is what a Python and its modules take to load, twice.
UNBROKEN_S, BROKEN_S = 1.0, 15.0
PATIENCE_S = 60.0  # with what a starved machine does in the end; what is measured has bounds of its own
CAP_NET_BIND_SERVICE = 1 << 10
# Four nodes for each way to look: with a connection, with a raw packet, with a process.
POOLS = {kind: [f"127.0.{net}.{at}" for at in range(1, 5)] for net, kind in enumerate(("web", "ping", "script"), 1)}
ENDPOINTS = {f"{kind}-{at}": {"address": one} for kind, them in POOLS.items() for at, one in enumerate(them)}
MEMBERS = {kind: {"members": [f"{kind}-{at}" for at in range(4)], "check": kind} for kind in POOLS}
CONFIGURATION = """
node: booted
dns: {listen: ["127.0.0.1:53", "[::1]:53"], workers: 2, query_log: {path: /var/log/gtm/queries.json, sample: 100%}}
checks:
  web: {kind: http, port: 8080, every: 500ms, timeout: 400ms, rise: 1}
  ping: {kind: icmp, count: 1, every: 500ms, timeout: 400ms, rise: 1}
  script: {kind: exec, command: [/etc/gtm/look], every: 1s, timeout: 900ms, rise: 1}
zones:
  live.example.com: {nameservers: {ns1: 127.0.0.1}, steer: {play: web}}
  vod.example.com: {nameservers: {ns1: 127.0.0.1}, steer: {play: ping}}
  radio.example.com: {nameservers: {ns1: 127.0.0.1}, steer: {play: script}}
"""
CONFIGURATION += f"endpoints: {json.dumps(ENDPOINTS)}\npools: {json.dumps(MEMBERS)}\n"
ALL_UP = "serving 3 zones, 12 endpoints up"
# Runs what a unit's walls might forbid: a shell, a program, its own folder, the network.
SCRIPT = '#!/bin/sh\nset -e\ntest -n "$GTM_ADDRESS"\n/usr/bin/env >/run/gtm/look.$$\nrm /run/gtm/look.$$\n'
WEBS, PINGED, SCRIPTED = (set(POOLS[kind]) for kind in ("web", "ping", "script"))


def blocks(page: str, heading: str) -> list[str]:
    """Return the indented blocks of a page's chapter, without their indentation."""
    chapter = page.partition(f"{heading}\n")[2].partition("\n## ")[0]
    found = re.findall(r"(?:^(?:    .*)?\n)+", "\n" + chapter, re.M)
    texts = [re.sub(r"^    ", "", one, flags=re.M).strip("\n") for one in found]
    return [one for one in texts if one]


def drop_in(machine: booted.Machine, name: str, text: str) -> None:
    """Do what `systemctl edit gtm` does with this text."""
    path = machine.file(f"/etc/systemd/system/gtm.service.d/{name}.conf")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text + "\n")
    machine.does("systemctl", "daemon-reload")


def configure(machine: booted.Machine, text: str) -> None:
    machine.file("/etc/gtm/gtm.yaml").write_text(text)


def answers(machine: booted.Machine, name: str = PLAY, *how: str) -> set[str]:
    """Return what some answers hold."""
    return {line for _ in range(8) for line in machine.run("dig", "@127.0.0.1", name, "+short", *how).split()}


def listening(machine: booted.Machine) -> set[str]:
    """Return the kernel's numbers of the sockets on port 53."""
    shown = machine.run("ss", "-Hlntue", "sport = 53")
    return set(re.findall(r"\bino:(\d+)", shown))


def processes(machine: booted.Machine) -> list[int]:
    """Return the service's processes as numbered in there, the main one first; not the scripts that it runs."""
    shown = machine.inside("pgrep", "--uid", "gtm", "--full", "--", "-m gtm[.]").stdout
    return sorted(map(int, shown.split()), key=lambda pid: pid != int(machine.show("MainPID")))


def of_process(machine: booted.Machine, pid: int) -> dict[str, str]:
    """Return what the kernel says of a process."""
    lines = machine.file(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def came_back(machine: booted.Machine) -> bool:
    """Say whether systemd has started the service again by itself."""
    return int(machine.show("NRestarts")) >= 1 and machine.show("ActiveState") == "active"


@contextmanager
def asked(machine: booted.Machine, what: str, within_s: float) -> Iterator[None]:
    """Ask over UDP and TCP all the time; nothing may be lost or wrong, and UDP not be silent for longer than this."""
    ways = {"udp": "tests.slow.stream", "tcp": "tests.slow.connecting"}
    reports = {way: machine.logs / f"{what}-{way}" for way in ways}
    for way, module in ways.items():
        command = [sys.executable, "-m", module, "127.0.0.1", "53", RATE[way], str(reports[way]), PLAY]
        (machine.logs / f"{way}.log").unlink(missing_ok=True)
        machine.start(way, command, {"PYTHONPATH": str(booted.ROOT)})
    machine.until(lambda: {(machine.logs / f"{way}.log").read_text() for way in ways}, {"asking\n"}, PATIENCE_S)
    yield
    machine.until(lambda: answers(machine) == WEBS, True, PATIENCE_S)
    assert [machine.end(way) for way in ways] == [0, 0]
    for way, report in reports.items():
        heard = stream.read(report)
        print(f"{what} over {way}: {heard.figures()}")
        assert [one for one in heard.asked if not one.got_s] == []
        assert heard.wrong(PLAY, (0.0, WEBS)) == []
        assert heard.strange == []
        assert way == "tcp" or heard.silence_s < within_s


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[booted.Machine]:
    """A machine that its owner has made a nameserver of by the first block of systemd/README.md."""
    logs = tmp_path_factory.mktemp("booted")
    with booted.booted(f"gtm-booted-{os.getpid()}", logs) as one:
        (install, *_) = blocks(PAGE, "# GTM under systemd")
        for line in filter(None, install.splitlines()):
            one.does("bash", "-euc", line, network="/pip install" not in line)
        one.start("edges", [sys.executable, "-m", "http.server", "8080", "--directory", str(one.logs / "machine")])
        yield one


def test_what_the_page_installs_runs_at_once_with_the_configuration_that_init_wrote(machine: booted.Machine) -> None:
    assert (machine.show("SubState"), machine.show("NRestarts")) == ("running", "0")
    print(machine.does("systemctl", "--version").splitlines()[0])
    assert machine.show("StatusText").startswith("serving 1 zone, ")
    assert machine.does("systemctl", "is-enabled", "gtm").strip() == "enabled"
    for command in (("gtm", "status"), ("gtm", "check", "/etc/gtm/gtm.yaml"), ("man", "--where", "gtm")):
        machine.does(*command)
    assert "ns1.live.example.org" in machine.run("dig", "@127.0.0.1", "-p", "5300", "live.example.org", "NS", "+short")


def test_behind_all_its_walls_it_binds_port_53_and_looks_remembers_and_logs(machine: booted.Machine) -> None:
    configure(machine, CONFIGURATION)
    script = machine.file("/etc/gtm/look")
    script.write_text(SCRIPT)
    script.chmod(0o755)
    machine.does("systemctl", "restart", "gtm")
    # Who may ping is the one thing that the page says must be loosened: this network has no ping_group_range.
    wanted = "serving 3 zones, 8 of 12 endpoints up"
    machine.until(lambda: machine.show("StatusText"), wanted, PATIENCE_S)
    assert wanted in machine.does("systemctl", "status", "gtm")
    assert answers(machine) == answers(machine, PLAY, "+tcp") == WEBS
    assert answers(machine, RADIO) == SCRIPTED
    for pid in processes(machine):
        found = of_process(machine, pid)
        assert set(found["Uid"].split()) == {machine.does("id", "-u", "gtm").strip()}
        assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
        assert int(found["CapEff"], 16) in {0, CAP_NET_BIND_SERVICE}
    for path, mode in {"/var/lib/gtm/gtm.db": 0o600, "/var/log/gtm/queries.json": 0o600}.items():
        kept = machine.file(path).stat()
        assert (kept.st_mode & 0o777, str(kept.st_uid)) == (mode, machine.does("id", "-u", "gtm").strip())
    machine.until(lambda: machine.file("/var/lib/gtm/last.table").exists(), True, PATIENCE_S)
    main = processes(machine)[0]
    for path in ("/etc/gtm/x", "/usr/x", "/opt/gtm/x", "/var/lib/x"):
        done = machine.inside("nsenter", f"--target={main}", "--mount", "touch", path)
        assert "Read-only file system" in done.stderr
    said = machine.said()
    assert "DNS on 127.0.0.1:53" in said
    assert "already exists but the mode is different" not in said


def test_the_unit_as_it_is_loaded_is_exposed_by_two_points_at_the_most(machine: booted.Machine) -> None:
    shown = machine.does("systemd-analyze", "security", "--no-pager", "--threshold=20", "gtm.service")
    exposed = re.search(r"Overall exposure level for gtm.service: ([\d.]+)", shown)
    assert exposed is not None
    print(exposed[0])
    assert float(exposed[1]) <= 2.0


def test_the_drop_in_of_the_page_lets_it_ping(machine: booted.Machine) -> None:
    (ping, *_) = [one for one in blocks(PAGE, "## What may have to be loosened") if "CAP_NET_RAW" in one]
    drop_in(machine, "ping", ping)
    with asked(machine, "systemctl restart", BROKEN_S):
        sockets = listening(machine)
        assert len(sockets) == 2 * 2 * 2, "two workers, two addresses, UDP and TCP"
        machine.does("systemctl", "restart", "gtm")
        assert listening(machine) == sockets
    machine.until(lambda: machine.show("StatusText"), ALL_UP, PATIENCE_S)
    assert answers(machine, FILMS) == PINGED


def test_systemctl_reload_waits_for_the_new_answers_and_fails_when_they_are_refused(machine: booted.Machine) -> None:
    with asked(machine, "systemctl reload", UNBROKEN_S):
        before = machine.show("MainPID")
        good = CONFIGURATION
        for number in range(3):
            good = good.replace("play: script", f"play: script, again{number}: web")
            configure(machine, good)
            machine.does("systemctl", "reload", "gtm")
            assert answers(machine, f"again{number}.radio.example.com") == WEBS
        # One with a mistake, and one whose plan empties names, to which nobody has said yes.
        for bad, why in ((good.replace("steer:", "stear:"), "stear"), (CONFIGURATION, "gtm reload --yes")):
            configure(machine, bad)
            refused = machine.inside("systemctl", "reload", "gtm")
            assert (refused.returncode, refused.stderr[:26]) == (1, "Job for gtm.service failed")
            assert (machine.show("ActiveState"), machine.show("ReloadResult")) == ("active", "exit-code")
            assert machine.show("StatusText") == f"{ALL_UP}; the configuration on disk is refused"
            assert why in machine.said()
            assert answers(machine, "again2.radio.example.com") == WEBS
        machine.does("gtm", "reload", "--yes")
        assert machine.show("StatusText") == ALL_UP
        machine.does("systemctl", "reload-or-restart", "gtm")
        assert answers(machine, "again2.radio.example.com") == set()
        assert (machine.show("MainPID"), machine.show("ReloadResult")) == (before, "success")


def test_a_restart_with_a_broken_configuration_answers_the_last_table_until_it_is_mended(
    machine: booted.Machine,
) -> None:
    with asked(machine, "systemctl restart, broken", BROKEN_S):
        configure(machine, CONFIGURATION.replace("steer:", "stear:"))
        machine.does("systemctl", "restart", "gtm")
        assert machine.show("StatusText").startswith("configuration refused; answering the last table, ")
        assert machine.inside("systemctl", "reload", "gtm").returncode == 1
        configure(machine, CONFIGURATION)
        machine.does("systemctl", "reload", "gtm")
        machine.until(lambda: machine.show("StatusText"), ALL_UP, PATIENCE_S)
    assert machine.show("NRestarts") == "0"


def test_a_certificate_that_was_renewed_is_handed_over_as_the_page_says(machine: booted.Machine) -> None:
    (hook,) = [one for one in blocks(PAGE, "## What may have to be loosened") if "RENEWED_LINEAGE" in one]
    made = trustme.CA().issue_cert("ns1.live.example.com")
    lineage = machine.file(LINEAGE)
    lineage.mkdir(parents=True)
    (lineage / "privkey.pem").write_bytes(made.private_key_pem.bytes())
    (lineage / "fullchain.pem").write_bytes(b"".join(one.bytes() for one in made.cert_chain_pems))
    machine.does("env", f"RENEWED_LINEAGE={LINEAGE}", "sh", "-euc", hook)
    machine.does("setpriv", "--reuid=gtm", "--regid=gtm", "--clear-groups", "cat", "/etc/gtm/tls/privkey.pem")
    assert machine.file("/etc/gtm/tls/privkey.pem").stat().st_mode & 0o777 == 0o640


def test_gtm_replace_puts_the_installed_version_in_the_place_of_the_running_one(machine: booted.Machine) -> None:
    with asked(machine, "gtm replace", UNBROKEN_S):
        main, *others = processes(machine)
        sockets = listening(machine)
        machine.does("gtm", "replace")
        again, *new = processes(machine)
        assert again == main
        assert len(new) >= len(others) == 3
        machine.until(
            lambda: set(others).isdisjoint(processes(machine)), True, 25
        )  # they answer their last connections
        assert listening(machine) == sockets
    machine.does("systemctl", "reload", "gtm")
    assert (machine.show("ActiveState"), machine.show("NRestarts")) == ("active", "0")


def test_an_upgrade_takes_over_when_it_is_sound_and_never_gets_the_sockets_when_it_is_not(
    machine: booted.Machine,
) -> None:
    installed = machine.does("/opt/gtm/bin/python3", "-P", "-c", "import gtm; print(gtm.__path__[0])").strip()
    version, control = machine.file(f"{installed}/__init__.py"), machine.file(f"{installed}/app/__main__.py")
    main, sound = machine.show("MainPID"), control.read_text()
    with asked(machine, "upgrade", UNBROKEN_S):
        version.write_text(version.read_text().replace(f'__version__ = "{gtm.__version__}"', '__version__ = "99.0.0"'))
        control.write_text(sound.replace("\nimport ", "\nraise SystemExit(3)\nimport ", 1))
        refused = machine.inside("gtm", "replace")
        assert (refused.returncode, "ended with status 3" in refused.stderr) == (1, True)
        refused = machine.inside("systemctl", "reload-or-restart", "gtm")
        assert (refused.returncode, refused.stderr[:26]) == (1, "Job for gtm.service failed")
        assert f"gtm 99.0.0 does not take over, and {gtm.__version__} goes on: the new control " in machine.said()
        assert f"gtm {gtm.__version__} " in machine.does("gtm", "status")
        control.write_text(sound)
        sockets, before = listening(machine), processes(machine)
        machine.does("systemctl", "reload-or-restart", "gtm")
        assert "gtm 99.0.0 " in machine.does("gtm", "status")
        assert listening(machine) == sockets
        machine.until(lambda: set(before[1:]).isdisjoint(processes(machine)), True, 25)
        now = processes(machine)
        machine.does("systemctl", "reload-or-restart", "gtm")
        assert processes(machine) == now, "the version that runs is the one that is installed"
    assert (machine.show("MainPID"), machine.show("NRestarts"), machine.show("StatusText")) == (main, "0", ALL_UP)


def test_killed_altogether_it_comes_back_with_its_sockets(machine: booted.Machine) -> None:
    with asked(machine, "kill -9", BROKEN_S):
        sockets = listening(machine)
        machine.does("systemctl", "kill", "--signal=KILL", "gtm")
        machine.until(lambda: came_back(machine), True, PATIENCE_S)
        assert listening(machine) == sockets


def test_who_hangs_is_noticed_by_the_watchdog_and_no_question_is_lost(machine: booted.Machine) -> None:
    drop_in(machine, "watchdog", f"[Service]\nWatchdogSec={WATCHDOG_S}s")
    machine.does("systemctl", "restart", "gtm")
    sockets = listening(machine)
    with asked(machine, "watchdog", BROKEN_S):
        main, *others = processes(machine)
        for pid in (main, *others):  # the supervisor too: alone, a worker that hangs is replaced by it
            machine.does("kill", "-STOP", str(pid))
        stopped_s = time.monotonic()
        machine.until(lambda: came_back(machine), True, PATIENCE_S)
        print(f"started again {time.monotonic() - stopped_s:.1f} s after it hung, with {WATCHDOG_S} s of WatchdogSec")
        assert f"Watchdog timeout (limit {WATCHDOG_S}s)" in machine.said()
        assert listening(machine) == sockets
        assert set(processes(machine)).isdisjoint({main, *others})


def test_systemctl_stop_ends_in_time_and_leaves_what_is_to_be_remembered_and_nothing_else(
    machine: booted.Machine,
) -> None:
    group = machine.show("ControlGroup")
    began_s = time.monotonic()
    machine.does("systemctl", "stop", "gtm")
    took_s = time.monotonic() - began_s
    print(f"stopped in {took_s:.1f} s")
    assert took_s < 15, "TimeoutStopSec is 20 s, and then it would be killed"
    assert (machine.show("ActiveState"), machine.show("Result")) == ("inactive", "success")
    assert (listening(machine), machine.show("NFileDescriptorStore")) == (set(), "0")
    assert not machine.file(f"/sys/fs/cgroup{group}").exists()
    assert machine.inside("pgrep", "-u", "gtm").returncode == 1
    assert not machine.file("/run/gtm").exists()
    assert [one for one in os.listdir(machine.file("/tmp")) if "gtm" in one] == []
    assert machine.file("/var/lib/gtm/gtm.db").exists()


def test_with_the_sockets_of_systemd_it_needs_no_capability_and_a_restart_loses_nothing(
    machine: booted.Machine,
) -> None:
    machine.does("systemctl", "start", "gtm")
    edited, commands, tls = blocks(PAGE, "## Socket activation")
    machine.file("/etc/systemd/system/gtm.service.d/ping.conf").unlink()
    drop_in(machine, "capabilities", edited)
    edit, *others = commands.splitlines()
    assert edit == "systemctl edit gtm"
    for line in others:
        machine.does("bash", "-euc", line)
    assert {of_process(machine, pid)["CapPrm"] for pid in processes(machine)} == {"0" * 16}
    sockets = listening(machine)
    with asked(machine, "systemctl restart with gtm.socket", BROKEN_S):
        machine.does("systemctl", "restart", "gtm")
        assert listening(machine) == sockets
    machine.file("/etc/systemd/system/gtm-tls.socket").write_text(tls)
    pair = "certificate: /etc/gtm/tls/fullchain.pem, key: /etc/gtm/tls/privkey.pem"
    configure(machine, CONFIGURATION.replace("workers: 2", f'workers: 2, tls: {{listen: "127.0.0.1:853", {pair}}}'))
    machine.does("systemctl", "stop", "gtm")
    machine.does("systemctl", "enable", "--now", "gtm-tls.socket")
    machine.until(lambda: answers(machine) == WEBS, True, PATIENCE_S)  # the next question starts it
    assert machine.show("ActiveState") == "active"
    ciphered = machine.run("kdig", "@127.0.0.1", "-p", "853", "+tls", PLAY, "+short").split()
    assert ciphered
    assert WEBS.issuperset(ciphered)
    machine.does("systemctl", "stop", "gtm.socket", "gtm-tls.socket", "gtm")
    assert listening(machine) == set()
