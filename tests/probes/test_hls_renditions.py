"""The hls kind before a multivariant playlist: one rendition is watched, the others take turns."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gtm import seen
from tests.probes.probe_servers import Clock, Servers, page
from tests.probes.test_hls import Stream

BANDWIDTHS = {"low": 400_000, "mid": 1_000_000, "high": 3_000_000}


class Ladder(Stream):
    """The stream in three renditions; `stuck` ones stand at the edge that they had."""

    stuck: dict[str, int]

    def answer(self, head: bytes) -> bytes:
        path = head.split()[1].decode()
        if path in self.pages:
            return super().answer(head)
        name = path.split("/")[1]
        if path == "/main.m3u8":
            lines = [f"#EXT-X-STREAM-INF:BANDWIDTH={rate}\n{one}/live.m3u8" for one, rate in BANDWIDTHS.items()]
            self.pages_asked.append(path)
            return page("#EXTM3U\n" + "\n".join(reversed(lines)) + "\n")
        self.pages_asked.append(name)
        edge, self.edge = self.edge, self.stuck.get(name, self.edge)
        try:
            return super().answer(head)
        finally:
            self.edge = edge

    async def look(self, policy: str = "quorum") -> seen.ProbeResult:
        self.pages_asked: list[str] = []
        result = await self.probe(path="/main.m3u8", renditions=policy, segment=False)
        self.clock.pass_(2)
        self.edge += 1
        return result

    async def looks(self, count: int, policy: str = "quorum") -> seen.ProbeResult:
        for _ in range(count):
            result = await self.look(policy)
        return result


@pytest.fixture
async def ladder(servers: Servers, clock: Clock) -> Ladder:
    made = Ladder(clock)
    made.stuck = {}
    made.pages_asked = []
    made.port = await servers.http(made.answer)
    return made


def missing(ladder: Ladder, *names: str) -> None:
    for name in names:
        ladder.pages[f"/{name}/live.m3u8"] = page(status="404 Not Found")


async def test_the_lowest_is_watched_and_the_others_take_turns(ladder: Ladder) -> None:
    asked = []
    for _ in range(4):
        assert (await ladder.look()).ok is True
        assert ladder.pages_asked[:2] == ["/main.m3u8", "low"]
        asked += ladder.pages_asked[2:]
    assert asked == ["high", "mid", "high", "mid"]


async def test_all_that_is_good_is_measured(ladder: Ladder) -> None:
    result = await ladder.looks(3)
    assert {name: result.measures[name] for name in result.measures if name.startswith("renditions")} == {
        "renditions": 3,
        "renditions.bad": 0,
        "renditions.spread": 0,
    }


@pytest.mark.parametrize(
    ("policy", "gone", "ok"),
    [
        ("lowest", ["mid", "high"], True),
        ("lowest", ["low"], False),
        ("any", ["low", "mid"], True),
        ("any", ["low", "mid", "high"], False),
        ("quorum", ["high"], True),
        ("quorum", ["low"], True),
        ("quorum", ["low", "high"], False),
        ("all", ["high"], False),
        ("all", ["low"], False),
    ],
)
async def test_the_policy_says_how_many_must_be_there(ladder: Ladder, policy: str, gone: list[str], ok: bool) -> None:
    missing(ladder, *gone)
    assert (await ladder.looks(4, policy)).ok is ok


async def test_a_missing_rendition_is_told_by_name_and_comes_back(ladder: Ladder) -> None:
    missing(ladder, "high")
    result = await ladder.looks(3, "all")
    assert (result.ok, result.reason) == (
        False,
        "1 of 3 renditions are bad: /high/live.m3u8: the playlist answers 404",
    )
    ladder.pages.clear()
    result = await ladder.looks(3, "all")
    assert (result.ok, result.measures["renditions.bad"]) == (True, 0)


async def test_a_rendition_that_turned_bad_is_looked_at_again_at_once(ladder: Ladder) -> None:
    await ladder.look()  # high
    missing(ladder, "mid", "high")
    turns = []
    for _ in range(4):
        await ladder.look("any")
        turns.append(ladder.asked[-1])
    assert turns == ["/mid/live.m3u8", "/mid/live.m3u8", "/high/live.m3u8", "/high/live.m3u8"]


async def test_a_rendition_that_stands_still_is_bad(ladder: Ladder) -> None:
    await ladder.looks(2)
    ladder.stuck["mid"] = ladder.edge
    result = await ladder.looks(7)
    assert (result.ok, result.measures["renditions.bad"]) == (True, 1)
    result = await ladder.looks(1, "all")
    assert "/mid/live.m3u8: stands still for " in result.reason


async def test_when_the_lowest_stands_still_another_is_watched(ladder: Ladder) -> None:
    await ladder.look()
    ladder.stuck["low"] = ladder.edge
    result = await ladder.looks(5)
    assert (result.ok, result.measures["playlist.age"]) == (True, 0)
    assert result.measures["renditions.bad"] == 1


async def test_when_all_stand_still_the_age_tells(ladder: Ladder) -> None:
    await ladder.looks(3)
    ladder.stuck = dict.fromkeys(BANDWIDTHS, ladder.edge)
    result = await ladder.looks(6)
    assert result.ok is False
    assert result.reason.startswith("3 of 3 renditions are bad: ")
    assert float(result.measures["playlist.age"]) > 6


async def test_a_rendition_that_lags_is_measured(ladder: Ladder) -> None:
    ladder.stuck["high"] = ladder.edge - 3
    assert (await ladder.look()).measures["renditions.spread"] == 6


async def test_variants_elsewhere_are_other_pathways(ladder: Ladder) -> None:
    ladder.pages["/main.m3u8"] = page(
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://other.example/x.m3u8\n"
        "#EXT-X-STREAM-INF:BANDWIDTH=2\nlow/live.m3u8\n"
    )
    result = await ladder.looks(2, "all")
    assert (result.ok, result.measures["renditions"]) == (True, 1)


async def test_separate_sound_takes_its_turn(ladder: Ladder) -> None:
    ladder.pages["/main.m3u8"] = page(
        '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",URI="sound/live.m3u8"\n'
        '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",URI="words/live.m3u8"\n'
        "#EXT-X-STREAM-INF:BANDWIDTH=2\nlow/live.m3u8\n"
    )
    missing(ladder, "sound")
    result = await ladder.looks(2, "all")
    assert result.reason == "1 of 2 renditions are bad: /sound/live.m3u8: the playlist answers 404"


async def test_the_newest_segment_of_a_turning_rendition_is_fetched_now_and_then(ladder: Ladder) -> None:
    def fetched() -> Iterator[str]:
        return (path for path in ladder.asked if path.endswith(".ts"))

    for _ in range(4):
        await ladder.probe(path="/main.m3u8")
        ladder.clock.pass_(2)
        ladder.edge += 1
    names = [path.split("/")[1] for path in fetched()]
    assert names.count("low") == 4
    assert 1 <= len([name for name in names if name != "low"]) <= 2


async def test_what_is_remembered_of_renditions_that_are_gone_is_forgotten(ladder: Ladder) -> None:
    await ladder.looks(3)
    ladder.pages["/main.m3u8"] = page("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=2\nlow/live.m3u8\n")
    await ladder.look()
    assert list(ladder.memory["hls"].ladder.known) == ["/low/live.m3u8"]
