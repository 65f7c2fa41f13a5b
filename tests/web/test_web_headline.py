"""How things stand in, the one sentence out: every kind of trouble has its own, with since when and why."""

from __future__ import annotations

from typing import Any

from gtm.web import headline, rows
from tests.web import world


def all_said(
    body: dict[str, Any], since: headline.Since | None = None, *, ready: bool = True, why: str = ""
) -> list[headline.Headline]:
    return headline.make(body, rows.make(body), ready=ready, why=why, since=since or {})


def said(body: dict[str, Any], since: headline.Since | None = None) -> headline.Headline:
    return all_said(body, since)[0]


def test_a_headline_names_the_worst_first() -> None:
    body = world.status(names=6)
    for at, name in enumerate(body["names"]):
        name["rung"] = "degraded" if at < 4 else "fallback"
    found = said(body)
    assert found.level == "bad"
    assert found.text == "4 of 6 names are degraded: n0.example.com, n1.example.com, n2.example.com and 1 more."


def test_a_headline_says_which_endpoints_are_down_though_no_name_suffers() -> None:
    body = world.status()
    body["endpoints"][0] |= {"state": "down", "reason": "status 503", "since": 7.0}
    assert said(body) == headline.Headline(
        "warn", "Every name is on its first pool, but s0-0 is down.", "status 503.", 7.0
    )


def test_a_stream_that_stands_still_on_one_endpoint_is_a_headline() -> None:
    body = world.status()
    reason = "up, but not for news.example.com: playlist.age is 9s, should be < 3 * playlist.target = 3s"
    body["endpoints"][0] |= {"not_for": ["news.example.com."], "reason": reason}
    assert said(body) == headline.Headline(
        "warn",
        "Every name is on its first pool, but s0-0 is down for news.example.com.",
        "playlist.age is 9s, should be < 3 * playlist.target = 3s.",
    )
    made = rows.make(body)
    for kind, key in (("endpoints", "s0-0/ipv4"), ("pools", "p0"), ("sites", "s0")):
        assert made[kind][key]["condition"] == "weak"


def test_an_endpoint_with_too_much_to_do_is_a_headline_and_weakens_its_pool() -> None:
    body = world.status()
    body["endpoints"][0] |= {"overload": "overloaded (status 503): weight 50%"}
    assert said(body) == headline.Headline(
        "warn", "Every name is on its first pool, but s0-0 has too much to do.", "overloaded (status 503): weight 50%."
    )
    assert rows.make(body)["pools"]["p0"]["condition"] == "weak"


def test_a_refused_configuration_and_the_guard_are_headlines() -> None:
    body = world.status()
    body["config"] = {"accepted": False, "at": 0.0, "trouble": "2 errors"}
    assert said(body).why == "2 errors"
    body["guard"] = "tripped"
    assert "guard" in said(body).text
    assert len(all_said(body)) == 2  # the refused configuration is not forgotten over it


def test_every_rung_has_its_sentence_with_the_pool_that_failed_first_and_since_when() -> None:
    for rung, words, level in (
        ("fallback", "on a fallback pool", "warn"),
        ("degraded", "degraded", "bad"),
        ("last_resort", "on the last resort", "bad"),
    ):
        body = world.status(names=2)
        body["names"][0]["rung"] = rung
        body["pools"][0] |= {"usable": False, "up": 0, "reason": "0 of 2 up"}
        since = {("name", body["names"][0]["name"]): (9.0, "rule 1"), ("pool", "p0"): (7.0, "0 of 2 up")}
        found = said(body, since)
        assert (found.level, found.since) == (level, 9.0)
        assert found.text == f"n0.example.com is {words}."
        assert found.why.startswith("Pool p0: 0 of 2 up")


def test_a_name_that_only_some_of_its_clients_get_from_a_fallback_is_said_to_be_so() -> None:
    body = world.status(names=3)
    for name in body["names"][:2]:
        name |= {"rung": "fallback", "partly": True}
    assert said(body).text == "n0.example.com, n1.example.com are on a fallback pool for some of their clients."
    body["names"][0]["partly"] = False
    assert said(body).text == "n0.example.com, n1.example.com are on a fallback pool."
    body["names"][0]["rung"] = "first"
    assert said(body).text == "n1.example.com is on a fallback pool for some of its clients."


def test_a_name_whose_source_died_is_a_headline_though_it_stays_on_its_first_pool() -> None:
    body = world.status(names=2)
    body["names"][1]["source_down"] = True
    found = said(body, {("name", body["names"][1]["name"]): (5.0, "dead on all nodes that carry it")})
    assert found == headline.Headline(
        "bad", "n1.example.com is dead at the source.", "dead on all nodes that carry it", 5.0
    )


def test_A7_an_endpoint_that_cannot_be_checked_is_a_headline() -> None:
    body = world.status()
    body["endpoints"][0] |= {"stale": True, "reason": "up, stale: no route to host"}
    found = said(body, {("endpoint", "s0-0"): (3.0, "hls: no route to host")})
    assert found.text == "s0-0 cannot be checked: what is known of it is old."
    assert (found.why, found.since) == ("up, stale: no route to host.", 3.0)


def test_what_is_wrong_with_the_node_itself_is_a_headline_when_nothing_worse_is() -> None:
    body = world.status()
    trouble = {"kind": "store", "level": "warn", "text": "The store cannot be used.", "why": "disk full.", "since": 4.0}
    body["troubles"] = [trouble, trouble | {"kind": "geo", "text": "A geography database cannot be used."}]
    assert said(body) == headline.Headline("warn", "The store cannot be used.", "disk full.", 4.0)
    body["endpoints"][0] |= {"state": "down", "reason": "status 503", "since": 7.0}
    found = [one.text for one in all_said(body)]
    assert found == [
        "Every name is on its first pool, but s0-0 is down.", trouble["text"], "A geography database cannot be used."
    ]  # fmt: skip


def test_G2_a_node_that_stands_on_its_last_table_says_so_and_how_old_that_is() -> None:
    body = world.status() | {
        "config": {"accepted": False, "at": 5.0, "trouble": "2 errors; the first: no pool"},
        "last_table": {"at": 5.0, "age_s": 60.0, "path": "last.table"},
    }
    found = all_said(body, ready=False, why="the configuration is refused")
    assert found == [
        headline.Headline(
            "bad",
            "The configuration is refused: what is answered is the last table of before.",
            "2 errors; the first: no pool",
            5.0,
        )
    ]


def test_a_node_that_is_not_ready_says_why() -> None:
    found = all_said(world.status(), ready=False, why="not every worker has the table yet")
    assert found[0] == headline.Headline("bad", "Not ready.", "Not every worker has the table yet.")


def test_an_endpoint_is_not_told_twice_when_its_pool_has_failed() -> None:
    body = world.status(names=2)
    body["names"][0]["rung"] = "fallback"
    body["pools"][0] |= {"usable": False, "up": 0, "reason": "0 of 2 up"}
    for one in (body["endpoints"][0], body["endpoints"][-1]):
        one |= {"state": "down", "reason": "status 503", "since": 7.0}
    others = [one.text for one in all_said(body)[1:]]
    assert others == [f"{body['endpoints'][-1]['endpoint']} is down."]  # which is in another pool


def test_all_is_well_only_when_nothing_else_is_said() -> None:
    assert said(world.status(names=2)).level == "ok"
    for key, value in (("guard", "tripped"), ("config", {"accepted": False, "at": 0.0, "trouble": "no"})):
        assert said(world.status(names=2) | {key: value}).level == "warn"
