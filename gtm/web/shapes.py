"""The words of the ground in, the shapes of what comes back over the API out: JSON Schema by name, for OpenAPI.

The description leaves room for more keys, as the contract does. Its test does not: it closes every shape before it
holds the answers of a real node against it (`tests/node/test_described.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from gtm import errors, events, model

Shape = Mapping[str, Any]
Answers = Mapping[int | str, tuple[str, Shape]]

TEXT: Shape = {"type": "string"}
NUMBER: Shape = {"type": "number"}
WHOLE: Shape = {"type": "integer"}
FLAG: Shape = {"type": "boolean"}
MOMENT: Shape = {"type": "number", "description": "seconds since the epoch, wall clock"}


def saying(shape: Shape, words: str) -> Shape:
    """Return a shape with what it means."""
    return {**shape, "description": words}


def some(of: Shape) -> Shape:
    """Return a list of these."""
    return {"type": "array", "items": of}


def by_name(of: Shape) -> Shape:
    """Return a map whose keys nobody knows beforehand."""
    return {"type": "object", "additionalProperties": of}


def either(*of: Shape) -> Shape:
    """Return what is one of these."""
    return {"anyOf": list(of)}


def or_null(of: Shape) -> Shape:
    """Return what may be missing."""
    return either(of, {"type": "null"})


def one_of(words: object) -> Shape:
    """Return one of the words of a `Literal`."""
    return {"enum": list(get_args(words))}


def record(sometimes: Mapping[str, Shape] | None = None, **always: Shape) -> Shape:
    """Return an object with these keys, and `sometimes` those."""
    return {"type": "object", "required": list(always), "properties": {**always, **(sometimes or {})}}


def named(name: str) -> Shape:
    """Return the shape of this name, as the description refers to it."""
    return {"$ref": f"#/components/schemas/{name}"}


_FAMILY, _STATE, _RUNG = one_of(model.Family), one_of(model.Status), one_of(model.Rung)
_STANDS = record(rung=_RUNG, pool=TEXT)
_COUNTED = record(usable=FLAG, up=WHOLE)
_SHARE = saying(NUMBER, "0 to 1")
_CONDITION = saying(TEXT, "one word: up, down, weak, unknown, ordered, stale")
_ERROR = record(code=TEXT, message=TEXT, hint=TEXT)
_FACT = record(
    kind=one_of(events.EventKind), subject=TEXT, family=TEXT, state=TEXT, since=MOMENT, reason=TEXT,
    severity=one_of(model.Severity),
)  # fmt: skip
_MEMBER = record(
    {
        "since": or_null(MOMENT),
        "site": or_null(TEXT),
        "stale": or_null(FLAG),
        "not_for": or_null(some(TEXT)),
        "overload": or_null(TEXT),
        "measured": TEXT,
        "condition": _CONDITION,
        "delivered": or_null(_SHARE),
        "uneven": FLAG,
    },
    endpoint=TEXT, state=_STATE, eligible=FLAG, weight=NUMBER, share=_SHARE, reason=TEXT, order=TEXT,
)  # fmt: skip
_TRIED = record(
    pool=TEXT, usable=FLAG, reason=TEXT,
    members=some(
        record(endpoint=TEXT, eligible=FLAG, state=_STATE, weight=NUMBER, reason=TEXT, order=TEXT, held=FLAG,
               standby=saying(FLAG, "it may be answered, and another tier or weight is"))
    ),
)  # fmt: skip
_LISTEN = record(dns=some(TEXT), web=TEXT)
_CONFIG = record(accepted=FLAG, at=MOMENT, trouble=TEXT)
_GEO = record(built_at=by_name(MOMENT), troubles=some(TEXT))
_RANKED = some(record(name=TEXT, count=WHOLE, share=_SHARE))

_SENTENCE = record(level={"enum": ["ok", "warn", "bad"]}, text=TEXT, why=TEXT, since=or_null(MOMENT))


def _moved(by: str) -> Shape:
    line = record(**{by: TEXT, "before": NUMBER, "after": NUMBER})
    return record(**{"from": some(line), "to": some(line), "moved_per_minute": NUMBER})


SCHEMAS: dict[str, Shape] = {
    "Error": record(error=_ERROR),
    "Event": record(
        id=WHOLE, at=MOMENT, kind=one_of(events.EventKind), subject=TEXT, before=TEXT, after=TEXT, cause=TEXT
    ),
    "Name": record(
        {
            "pools": some(TEXT),
            "partly": saying(FLAG, "the rung is the lowest, and other clients are answered from a higher one"),
            "ttl": saying(WHOLE, "seconds"),
            "source_down": saying(FLAG, "its stream is dead on all nodes that carry it"),
            "since": or_null(MOMENT),
        },
        name=TEXT, rung=_RUNG,
    ),
    "Pool": record(
        {"key": TEXT, "condition": _CONDITION, "names": saying(WHOLE, "so many it serves"), "since": or_null(MOMENT)},
        pool=TEXT, usable=FLAG, up=WHOLE, members=WHOLE, reason=TEXT, balance=TEXT, roster=some(_MEMBER),
        detects_within_s=saying(or_null(NUMBER), "how long a silent death goes unseen at worst; null without a check"),
    ),
    "Endpoint": record(
        {"key": TEXT, "condition": _CONDITION, "pools": some(TEXT)},
        endpoint=TEXT, family=_FAMILY, site=TEXT, address=TEXT, state=_STATE, serving=FLAG, weight=NUMBER,
        load=saying(NUMBER, "what overload leaves of its weight, 0 to 1"), since=or_null(MOMENT), reason=TEXT,
        order=TEXT, stale=FLAG, not_for=saying(some(TEXT), "names for which it is down"),
        overload=saying(TEXT, "how far it is eased, why, and for which names if not for all; empty when it is not"),
        orders=some(record(id=TEXT, order=TEXT, value=NUMBER, by=TEXT, why=TEXT, until=or_null(MOMENT))),
    ),
    "Site": record(
        {
            **{"key": TEXT, "condition": _CONDITION, "up": WHOLE, "endpoints": WHOLE},
            **{"x": or_null(NUMBER), "y": or_null(NUMBER), "lat": or_null(NUMBER), "lon": or_null(NUMBER)},
        },
        site=TEXT, at=TEXT,
    ),
    "Order": record(
        id=TEXT, target=TEXT, order=TEXT, value=NUMBER, by=TEXT, why=TEXT, at=MOMENT, until=or_null(MOMENT),
        break_glass=FLAG,
        safe_at=saying(or_null(MOMENT), "when the last old answer has died; null while unknown"),
        safe=saying(FLAG, "whether that is past: a drained node may be stopped"),
        endpoints=some(TEXT),
        overruled_by=saying(some(TEXT), "newer orders that win on some of its endpoints"),
        unconfirmed=saying(some(TEXT), "nodes that have not swapped to it yet"),
    ),
    "Preview": record(
        {
            "until": saying(or_null(MOMENT), "of an order: when it would lift itself"),
            "orders": saying(some(TEXT), "of a release: the orders that would go"),
        },
        dry_run={"const": True},
        endpoints=saying(some(TEXT), "whom it would cover"),
        names=saying(
            some(record(name=TEXT, before=_STANDS, after=_STANDS, share=_SHARE, left_with_nothing=FLAG)),
            "names of which answers move, worst first, at most 100; share of each name's answers",
        ),
        names_total=saying(WHOLE, "how many there are"),
        left_with_nothing=saying(WHOLE, "how many of them would have no answer for some clients"),
        pools=some(record(pool=TEXT, members=WHOLE, before=_COUNTED, after=_COUNTED)),
        share=saying(NUMBER, "share of all answers that would move, 0 to 1"),
        share_by=saying({"enum": ["answers", "names"]}, "weighed by answers of late, or each name alike"),
        refused=saying(or_null(_ERROR), "why it would be refused (`below-floor`)"),
    ),
    "Released": record(
        released=record(
            orders=saying(some(TEXT), "the ids that are gone"),
            latches=saying(some(TEXT), "endpoints whose hold-down or failback was lifted"),
            left=saying(some(TEXT), "orders that still lie on these endpoints"),
        )
    ),
    "Problem": record(
        severity=one_of(errors.Severity), file=or_null(TEXT), line=or_null(WHOLE), column=or_null(WHOLE),
        end_column=or_null(WHOLE), code=TEXT, path=TEXT, message=TEXT, hint=TEXT,
        also=some(record({"end_column": or_null(WHOLE)}, file=TEXT, line=WHOLE, column=WHOLE)),
    ),
    "Silence": record(id=TEXT, target=TEXT, by=TEXT, why=TEXT, at=MOMENT, until=MOMENT),
    "Challenge": record(
        name=TEXT, value=TEXT, by=TEXT, at=MOMENT, until=MOMENT, problem=saying(TEXT, "why it is not answered, if so")
    ),
}  # fmt: skip
SCHEMAS["Status"] = record(
    {
        "problems": saying(some(named("Problem")), "only while an earlier table stands in for a refused configuration"),
        "last_table": record(at=MOMENT, age_s=NUMBER, path=TEXT),
    },
    node=TEXT, version=TEXT, revision=WHOLE, digest=TEXT, judged=FLAG, guard={"enum": ["", "tripped"]},
    listen=_LISTEN,
    processes=some(record(role={"enum": ["supervisor", "control", "worker"]}, pid=WHOLE)),
    zones=some(record(zone=TEXT, names=WHOLE, rungs=saying(by_name(WHOLE), "how many names stand on each"))),
    names=some(named("Name")), pools=some(named("Pool")), endpoints=some(named("Endpoint")),
    sites=some(named("Site")), config=_CONFIG, geo=_GEO, troubles=some(named("Trouble")),
)  # fmt: skip
SCHEMAS["Trouble"] = saying(
    record(kind=TEXT, level={"enum": ["warn", "bad"]}, text=TEXT, why=TEXT, since=or_null(MOMENT)),
    "what is wrong with the node itself: its store, its alerts, its certificates, ...",
)
SCHEMAS["Summary"] = record(
    {
        "ready": FLAG,
        **dict.fromkeys(("node", "version", "digest", "guard"), TEXT),
        **{"revision": WHOLE, "config": _CONFIG, "geo": _GEO, "workers": record(alive=WHOLE, of=WHOLE)},
        **{"listen": _LISTEN, "orders_total": WHOLE, "also": saying(some(_SENTENCE), "what else is wrong")},
        "orders": some(
            {
                **SCHEMAS["Order"],
                "properties": {**SCHEMAS["Order"]["properties"], "covers": saying(WHOLE, "how many endpoints")},
            }
        ),
    },
    headline=_SENTENCE,
    counts=by_name(by_name(WHOLE)),
)
SCHEMAS["Explanation"] = record(
    {"shares": saying(by_name(_SHARE), "how often each answer stands first"), "sticky": or_null(some(WHOLE))},
    name=TEXT, type=TEXT, client=TEXT, place=TEXT, rule=or_null(WHOLE), rung=or_null(_RUNG), pool=or_null(TEXT),
    tried=some(_TRIED), answers=some(TEXT), ttl=saying(WHOLE, "seconds"), ecs_scope=WHOLE, rcode=TEXT, why=TEXT,
    judged=FLAG,
)  # fmt: skip
SCHEMAS["Series"] = record(
    kind=TEXT, by=TEXT, unit=TEXT, step_s=WHOLE, at=some(MOMENT),
    series=some(record(name=TEXT, values=some(or_null(NUMBER)))),
)  # fmt: skip
SCHEMAS["Analytics"] = record(
    since=MOMENT, until=MOMENT,
    answers=saying(by_name(_RANKED), "of pools, endpoints, names, places, countries, networks: the most first"),
    queries=saying(by_name(_RANKED), "with and without client subnet, by transport"),
    resolvers=some(
        record(
            address=TEXT, queries=saying(WHOLE, "at most; an estimate"), error=saying(WHOLE, "too many by so many"),
            share=_SHARE, with_subnet=_SHARE, place=TEXT, asn=or_null(WHOLE),
        )
    ),
    shares=some(
        record(
            pool=TEXT, endpoint=TEXT, intended=_SHARE, delivered=_SHARE, answers=WHOLE, uneven=FLAG, differs_s=NUMBER
        )
    ),
    movements=some(
        record(
            at=MOMENT, subjects=some(TEXT), cause=TEXT, settled=FLAG, answers_per_minute_before=NUMBER,
            endpoints=_moved("endpoint"), pools=_moved("pool"),
        )
    ),
    samples=record(taken=WHOLE, lost=WHOLE),
)  # fmt: skip
SCHEMAS["Doctor"] = record(
    node=TEXT, digest=TEXT, left_out=WHOLE,
    zones=some(record(name=TEXT, nameservers=by_name(some(TEXT)), long=some(TEXT), transferred=FLAG)),
    findings=some(record(level={"enum": ["ok", "warning", "error"]}, about=TEXT, what=TEXT, do=TEXT)),
)  # fmt: skip
SCHEMAS["Alerts"] = record(
    receivers=some(
        record(
            name=TEXT, kind=TEXT, on=some(TEXT), hold_s=NUMBER, remind_s=NUMBER, severity=one_of(model.Severity),
            match=some(TEXT), waiting=WHOLE, trouble=TEXT, sent_at=or_null(MOMENT),
        )
    ),
    open=some(
        record(id=TEXT, group=TEXT, title=TEXT, since=MOMENT, told=some(TEXT), waiting=some(TEXT), hushed=FLAG,
               facts=some(_FACT))
    ),
    outbox=some(
        record(id=TEXT, receiver=TEXT, what=TEXT, title=TEXT, made_at=MOMENT, due_at=MOMENT, tries=WHOLE, trouble=TEXT)
    ),
    waiting=WHOLE, unwritten=WHOLE, silences=some(named("Silence")),
)  # fmt: skip
SCHEMAS["Reloaded"] = record(
    accepted=FLAG, needs_yes=FLAG, digest=TEXT, plan=some(TEXT), problems=some(named("Problem")), text=TEXT
)
SCHEMAS["Tested"] = record(results=some(record(receiver=TEXT, kind=TEXT, ok=FLAG, said=TEXT, took_s=NUMBER)))


def paged(word: str, of: str) -> Answers:
    """Return the answers of a list that may be asked for in pages: `word` is its key, `of` what is in it."""
    pages = {
        "total": saying(WHOLE, "of a page: how many there are"),
        "matched": saying(WHOLE, "how many of them fit"),
        "offset": WHOLE,
    }
    return {200: ("The list, or a page of it.", record(pages, **{word: some(named(of))}))}


def done(of: str | Shape, says: str = "Done.", status: int = 200) -> Answers:
    """Return the answers of what has one: a shape, or the name of one."""
    return {status: (says, named(of) if isinstance(of, str) else of)}


def refused_with(of: str, more: Mapping[str, Shape] | None = None) -> Shape:
    """Return an error with the keys of the shape of this name beside it."""
    properties = {**SCHEMAS[of]["properties"], **(more or {})} if of else dict(more or {})
    return record(**{"error": _ERROR, **properties})
