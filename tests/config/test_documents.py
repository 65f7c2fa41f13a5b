"""The operator's guide says what is true: its examples load, and its tables are those of the definitions."""

from __future__ import annotations

import re

from gtm.config import load
from tests.alerts import story
from tests.config import documents, reading

ALERTS = documents.PATH.with_name("alerts.md")


def test_the_examples_together_are_one_valid_configuration() -> None:
    parts = {f"part{number:02}.yaml": text for number, text in enumerate(documents.examples())}
    assert len(parts) >= 8
    loaded = load.load(
        "gtm.yaml",
        {"gtm.yaml": "include: ['part*.yaml']\n", **parts},
        kinds=reading.KINDS,
        senders=reading.SENDERS,
        records=reading.READER,
        node="ns1",
        store="memory:",
    )
    assert [one for one in loaded.problems if one.severity == "error"] == []
    # What the page itself explains to be doubtful, or leaves out for brevity.
    assert {one.code for one in loaded.problems} <= {"unused-check", "pool-without-check"}
    assert loaded.snapshot is not None
    assert len(loaded.snapshot.checks) > 10


def test_the_tables_are_up_to_date() -> None:
    assert documents.PATH.read_text() == documents.current(), "run `python -m tests.config.documents`"


def test_every_setting_of_the_contract_is_explained() -> None:
    text = documents.PATH.read_text()
    for word in ("on_stale", "observe", "check_address", "when_all_down", "min_alive", "negative_ttl", "explain_to"):
        assert f"| `{word}` |" in text


def test_the_guide_to_alerts_has_an_example_of_every_receiver_that_loads() -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", ALERTS.read_text(), re.MULTILINE | re.DOTALL)
    loaded = reading.read(f"{text}{reading.WORLD}")
    assert {one.code for one in loaded.problems} <= {"unused-check"}
    assert loaded.snapshot is not None
    assert {one.kind for one in loaded.snapshot.alerts} == set(reading.SENDERS)
    assert loaded.snapshot.web.url == "https://gtm.example.com"


def test_the_message_in_the_guide_to_alerts_is_what_is_sent() -> None:
    it = story.Story("[{kind: exec, command: x, on: [endpoint, pool, name]}]")
    it.site_falls()
    (said,) = it.run(60)
    shown = ALERTS.read_text().partition("    [ns1] ERROR")[2].partition("\n\n")[0].splitlines()
    sent = [said.title, *said.text.splitlines()]
    lines = [line.strip() for line in ["[ns1] ERROR" + shown[0], *shown[1:]]]
    assert [line for line in lines if not line.startswith("Since ")] == [
        line.strip() for line in sent if line and not line.startswith("Since ")
    ]
