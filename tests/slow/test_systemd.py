"""systemd's own tools read the units: how exposed the service is, and whether every directive is understood."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
import trustme

from tests.slow import hosts

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
EXPOSURE = 20  # of 100, so 2.0 as the tool prints it


# All that opens files, sockets or processes of its own.
CONFIGURATION = """
dns:
  listen: "127.0.0.1:0"
  workers: 2
  cookies: {secret_file: cookies}
  tls: {listen: "127.0.0.1:853", certificate: chain, key: key}
  proxy: {listen: "127.0.0.1:5353", from: [127.0.0.1]}
  query_log: {path: queries.json, sample: 100%}
  dnstap: {socket: dnstap.sock, sample: 100%}
  rate_limit: {responses_per_second: 1000}
web: {listen: "127.0.0.1:8053", doh: true, tls: {certificate: chain, key: key}}
store: "sqlite:///gtm.db"
alerts: [{kind: exec, command: [/bin/cat], on: [endpoint, pool, name]}]
checks:
  web: {kind: http, every: 1s, timeout: 500ms}
  script: {kind: exec, command: [/bin/true], every: 1s, timeout: 500ms}
endpoints: {a: {address: 127.0.0.9}, b: {address: 127.0.0.10}}
pools: {edges: {members: [a], check: web}, scripted: {members: [b], check: script}}
zones: {live.example.com: {nameservers: {ns1: 127.0.0.1}, steer: {play: edges, scripted: scripted}}}
"""


DOH = "/dns-query?dns=AAABAAABAAAAAAAABHBsYXkEbGl2ZQdleGFtcGxlA2NvbQAAAQAB"  # play.live.example.com A


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", "--no-pager", *arguments], capture_output=True, text=True, check=False)


def test_the_service_is_exposed_by_two_points_at_the_most() -> None:
    done = analyze("security", "--offline=true", f"--threshold={EXPOSURE}", str(ROOT / "systemd" / "gtm.service"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Overall exposure level" in done.stdout


def test_a_looser_service_would_be_found_out(tmp_path: Path) -> None:
    text = (ROOT / "systemd" / "gtm.service").read_text()
    loose = tmp_path / "gtm.service"
    loose.write_text("\n".join(line for line in text.splitlines() if not line.startswith(("Protect", "SystemCall"))))
    assert analyze("security", "--offline=true", f"--threshold={EXPOSURE}", str(loose)).returncode != 0


@pytest.mark.parametrize("name", ["gtm.service", "gtm.socket"])
def test_every_directive_of_a_unit_is_understood(tmp_path: Path, name: str) -> None:
    # The tool looks for the programs on this machine; what they are called there is not what is judged here.
    for unit in ("gtm.service", "gtm.socket"):
        text = re.sub(r"/opt/gtm/bin/\w+", "/bin/true", (ROOT / "systemd" / unit).read_text())
        (tmp_path / unit).write_text(text)
    done = analyze("verify", "--man=no", "--recursive-errors=no", str(tmp_path / name))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_user_and_the_folders_are_read_as_they_are_meant(tmp_path: Path) -> None:
    for folder in ("etc", "var/lib", "run"):
        (tmp_path / folder).mkdir(parents=True)
    user = subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}", str(ROOT / "systemd/sysusers.d/gtm.conf")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert user.returncode == 0, user.stderr
    assert "gtm:x:" in (tmp_path / "etc/passwd").read_text()
    made = subprocess.run(
        ["systemd-tmpfiles", f"--root={tmp_path}", "--create", str(ROOT / "systemd/tmpfiles.d/gtm.conf")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "etc/gtm/zones").is_dir()
    assert (tmp_path / "var/lib/gtm").stat().st_mode & 0o777 == 0o750


def members(group: str) -> set[str]:
    """Return the system calls of one of systemd's groups."""
    if not group.startswith("@"):
        return {group}
    lines = [line.strip() for line in analyze("syscall-filter", group).stdout.splitlines()[1:]]
    return set().union(*(members(line) for line in lines if line and not line.startswith("#")))


def allowed() -> set[str]:
    """Return what the unit's filter lets through: its lines in order, `~` takes away."""
    calls: set[str] = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", (ROOT / "systemd" / "gtm.service").read_text(), re.M):
        named = set().union(*(members(word) for word in line.removeprefix("~").split()))
        calls = calls - named if line.startswith("~") else calls | named
    return calls


def web_is(world: hosts.Namespace, path: str, *how: str) -> str:
    return world.run("curl", *how, "-ks", "-o", "/dev/null", "-w", "%{http_code}", f"https://127.0.0.1:8053{path}")


def secrets(folder: Path) -> None:
    """Write the secret of the cookies, and a certificate with its key."""
    (folder / "cookies").write_text("00112233445566778899aabbccddeeff\n")
    made = trustme.CA().issue_cert("ns1.example")
    (folder / "key").write_bytes(made.private_key_pem.bytes())
    (folder / "chain").write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))


def test_a_whole_life_of_a_node_makes_no_system_call_that_the_unit_forbids(tmp_path: Path) -> None:
    """Start, judge, answer in all ways, reload, alert, stop: what strace saw of it is held against the unit."""
    (tmp_path / "gtm.yaml").write_text(CONFIGURATION)
    secrets(tmp_path)
    seen = tmp_path / "seen"
    with hosts.namespace(f"gtm-calls-{os.getpid()}", tmp_path, hosts.Namespace) as world:
        node = ["strace", "-f", "-qq", "-o", str(seen), *hosts.GTM, "serve", "-c", str(tmp_path / "gtm.yaml")]
        traced = world.start("gtm", node)
        world.until(lambda: web_is(world, "/readyz"), "200", 60)
        listening = world.run("curl", "-ks", "https://127.0.0.1:8053/api/v1/status")
        (port,) = re.findall(r'"dns": ?\["127\.0\.0\.1:(\d+)"\]', listening)
        for transport in ("+notcp", "+tcp"):
            asked = ("dig", "@127.0.0.1", "-p", port, "play.live.example.com", "+short", transport)
            assert world.run(*asked).strip() == "127.0.0.9"
        assert "127.0.0.9" in world.run("kdig", "@127.0.0.1", "-p", "853", "+tls", "play.live.example.com", "+short")
        assert web_is(world, DOH, "-H", "Accept: application/dns-message") == "200"
        assert web_is(world, "/api/v1/alerts/test", "--json", "{}") == "200"
        world.until(lambda: world.run(*asked) != "" and (tmp_path / "queries.json").exists(), True, 30)
        assert web_is(world, "/api/v1/reload", "--json", "{}") == "200"
        # strace keeps the signals that it gets to itself; the supervisor is its child.
        children = Path(f"/proc/{traced.pid}/task/{traced.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGTERM)
        assert traced.wait(30) == 0
        del world.running["gtm"]
    log = seen.read_text(errors="replace")
    made = set(re.findall(r"^\d+ +([a-z_0-9]+)\(", log, re.M))
    assert {"capset", "memfd_create", "execve"} <= made, "capset: the workers give away their capabilities"
    # SQLite hands its journal to the database's owner, but only when it is root, which it is here and not there.
    assert made - {"fchown"} <= allowed()
    families = (ROOT / "systemd" / "gtm.service").read_text().partition("RestrictAddressFamilies=")[2].splitlines()[0]
    assert set(re.findall(r"socket\((AF_[A-Z0-9]+)", log)) <= set(families.split())
    # MemoryDenyWriteExecute: no memory that can be written and run.
    assert not [line for line in log.splitlines() if "PROT_WRITE|PROT_EXEC" in line]
