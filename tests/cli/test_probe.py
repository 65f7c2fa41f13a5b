"""`gtm probe` against a real HTTP server: what it shows, what it finds profiles by, and its exit status."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click import testing

from gtm.cli import main

Probe = Callable[..., testing.Result]


class Origin(http.server.BaseHTTPRequestHandler):
    """A stream whose edge moves at each look."""

    protocol_version = "HTTP/1.1"
    looks = 0
    frozen = False

    def do_GET(self) -> None:
        body, status = b"OK", 200
        if self.path.endswith(".m3u8"):
            type(self).looks += not self.frozen
            lines = [f"#EXTINF:0.05,\ns{self.looks + one}.ts\n" for one in range(4)]
            head = f"#EXTM3U\n#EXT-X-TARGETDURATION:0.05\n#EXT-X-MEDIA-SEQUENCE:{self.looks}\n"
            body = (head + "".join(lines)).encode()
        elif self.path.startswith("/gone"):
            body, status = b"", 404
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    Origin.looks, Origin.frozen = 0, False
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


CONFIG = """
checks:
  alive:
    kind: http
    port: {port}
    path: /health
    expect: [status == 200, body contains OK]
    warn: [time.total > 1h]
  gone: {{kind: http, port: {port}, path: /gone}}
  live:
    kind: hls
    port: {port}
    path: /{{label}}/live.m3u8
    host: "{{name}}"
    every: 500ms
    timeout: 400ms
  told: {{kind: push}}
endpoints:
  fra-1: {{address: 127.0.0.1}}
pools:
  edges: {{members: [fra-1], check: alive}}
zones:
  live.example.com:
    nameservers: [ns1.example.net.]
    hostmaster: ops@example.com
    steer: {{play: edges}}
"""


@pytest.fixture
def probe(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Probe:
    """Run `gtm probe` with these words in a directory that has a configuration, wide enough for whole lines."""
    (tmp_path / "gtm.yaml").write_text(CONFIG.format(port=port))
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> testing.Result:
        runner = testing.CliRunner(env={"COLUMNS": "220"})
        return runner.invoke(main.cli, ["probe", *words], catch_exceptions=False)

    return run


def data(result: testing.Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_it_shows_conditions_timeline_measures_and_the_verdict(probe: Probe) -> None:
    result = probe("alive", "fra-1", "-c", "gtm.yaml")
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0].startswith("alive: http of 127.0.0.1:")
    assert "✓ expect status (200) == 200" in lines
    assert "✓ expect body ('OK') contains OK" in lines
    assert any(line.startswith("✗ warn time.total is ") for line in lines)
    for step in ("connect", "first_byte", "total"):
        assert any(line.startswith(step + " ") and "ms" in line for line in lines), step
    assert "status 200 HTTP status; a redirect is judged as what it is, not followed" in lines
    assert "▲ up" in lines
    assert any(line.startswith("! warning: time.total is ") for line in lines)


def test_what_is_down_ends_with_one_and_the_reason(probe: Probe) -> None:
    result = probe("gone", "127.0.0.1", "-c", "gtm.yaml")
    assert result.exit_code == 1
    assert "▼ down: status is 404, should be in 200..299" in result.stdout


def test_it_prints_json(probe: Probe) -> None:
    result = probe("alive", "fra-1", "-c", "gtm.yaml", "--json")
    found = data(result)
    assert (found["status"], found["reason"], found["endpoint"], found["looks"]) == ("up", "", "fra-1", 1)
    assert found["conditions"][0] == {
        "line": "status == 200",
        "warns": False,
        "holds": True,
        "shown": "status (200) == 200",
    }
    assert list(found["timeline"]) == ["connect", "first_byte", "total"]
    assert found["measures"]["body"] == "OK"
    assert len(found["warnings"]) == 1


def test_whether_a_stream_moves_takes_two_looks(probe: Probe) -> None:
    found = data(probe("live", "fra-1", "--name", "news.live.example.com", "-c", "gtm.yaml", "--json"))
    assert (found["looks"], Origin.looks) == (2, 2)
    assert (found["host"], found["name"]) == ("news.live.example.com", "news.live.example.com.")
    text = probe("live", "fra-1", "--name", "news.live.example.com", "-c", "gtm.yaml").stdout
    assert text.splitlines()[0].endswith("(2 looks, 0.1s apart, to see whether it moves)")


def test_watching_remembers_what_was_seen(probe: Probe) -> None:
    Origin.frozen = True
    words = ("live", "fra-1", "--name", "news.live.example.com", "-c", "gtm.yaml", "--watch", "--count", "3")
    ages = [json.loads(line)["measures"]["playlist.age"] for line in probe(*words, "--json").stdout.splitlines()]
    assert len(ages) == 3
    assert ages[0] < ages[1] < ages[2]
    lines = probe(*words).stdout.splitlines()
    assert [" up " in line for line in lines] == [True] * 3
    assert all("playlist.age (" in line for line in lines)


def test_a_ready_profile_is_found_by_its_name_and_an_address_may_have_a_port(probe: Probe, port: int) -> None:
    found = data(probe("http-origin", f"127.0.0.1:{port}", "--json"))
    assert (found["profile"], found["port"], found["status"]) == ("http-origin", port, "up")


def test_a_file_is_enough(probe: Probe, port: int, tmp_path: Path) -> None:
    Path("mine.yaml").write_text("checks:\n  one: {kind: tcp, port: 1}\n  two: {kind: http, port: 1}\n")
    Path("gtm.yaml").unlink()
    result = probe("./mine.yaml", "127.0.0.1")
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: ./mine.yaml has 2 profiles (one, two): write ./mine.yaml:NAME\n",
    )
    assert data(probe("mine.yaml:one", f"127.0.0.1:{port}", "--json"))["kind"] == "tcp"
    assert "it has one, two" in probe("mine.yaml:three", "127.0.0.1").stderr


def test_a_host_name_is_looked_up_and_the_look_is_timed(probe: Probe, port: int) -> None:
    found = data(probe("http-origin", f"localhost:{port}", "--json"))
    assert (found["status"], found["host"]) == ("up", "localhost")
    assert found["timeline"]["dns"] > 0


def test_the_name_is_what_is_asked_for(probe: Probe) -> None:
    assert data(probe("alive", "fra-1", "--name", "Play.live.example.com", "--json"))["host"] == "play.live.example.com"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["alife", "127.0.0.1"], "no profile 'alife': did you mean 'alive'?"),
        (["live", "127.0.0.1"], "'live' is checked per steered name: say which with --name"),
        (["told", "127.0.0.1"], "'told' is told (push): there is nothing to run; tell it: POST"),
        (["zzzzzzzzzzzzz", "127.0.0.1"], "no profile 'zzzzzzzzzzzzz': there are alive, "),
        (["alive", "not/a/host"], "'not/a/host' is no address, no host name and no endpoint"),
        (["alive", "127.0.0.1:99999"], "99999 is no port"),
        (["alive", "127.0.0.1", "--name", "a..b"], "'a..b' is no name: "),
        (["none.yaml", "127.0.0.1"], "none.yaml"),
    ],
)
def test_wrong_words_are_told_in_one_line(probe: Probe, words: list[str], says: str) -> None:
    result = probe(*words)
    assert result.exit_code == 1
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_a_broken_configuration_is_told(probe: Probe) -> None:
    Path("gtm.yaml").write_text("checks: {alive: {kind: htp}}\n")
    result = probe("alive", "127.0.0.1")
    assert result.exit_code == 1
    assert "gtm.yaml:1:" in result.stderr


def test_G7_it_goes_where_probes_may_go_and_nowhere_else(probe: Probe) -> None:
    result = probe("alive", "169.254.169.254")
    assert result.exit_code == 1
    assert "? unknown: 169.254.169.254 is link-local, where probes do not go" in result.stdout
