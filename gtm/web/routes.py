"""Nothing in, the table of all routes out: who may use each, what it takes, and the shape of what comes back."""

from __future__ import annotations

from aiohttp import web

from gtm.web import acme, alerts, assets, auth, live, openapi, orders, page, read, reply, shapes, watch
from gtm.web.openapi import Route


async def describe(request: web.Request) -> web.Response:
    """This table, as OpenAPI."""
    return reply.ok(openapi.document(ROUTES))


EVENTS_QUERY = {
    "since": "a moment: 1h (that long ago), 1700000000, 2026-01-31T12:00:00Z",
    "after": "only events with a greater id",
    "limit": "at most so many, the newest (1000)",
}
EXPLAIN_QUERY = {
    "name": "the name",
    "type": "the record type (A)",
    "client": "the client's address or prefix",
    "assume": "GLOB=down or GLOB=up; may be given again",
}
SERIES_QUERY = {
    "kind": "answers (or queries, probe_ms, latency_s)",
    "by": "answers: total, pool, endpoint, name, place, country, asn; queries: total, subnet, transport; else endpoint",
    "since": "a moment: 1h (that long ago, the default), 1d, 31d",
    "name": "only series whose name matches this glob",
}
ORDER_BODY: dict[str, shapes.Shape] = {
    "target": shapes.saying(shapes.TEXT, "an endpoint, a glob, site:NAME or pool:NAME"),
    "order": {"enum": list(orders.ORDERS)},
    "value": shapes.saying(shapes.NUMBER, "for weight: the factor, 0 to 1"),
    "for_s": shapes.saying(shapes.NUMBER, "seconds until it lifts itself; absent: until released"),
    "why": shapes.TEXT,
    "break_glass": shapes.saying(shapes.FLAG, "order it although it breaks a safety floor (`orders.keep_up`)"),
    "dry_run": shapes.saying(shapes.FLAG, "say what it would do, keep nothing"),
}
ORDERS_QUERY = {"offset": "leave out so many of the first", "limit": "at most so many (all)"}
RELEASE_QUERY = {
    "break_glass": "true: release it although that breaks a safety floor",
    "dry_run": "true: say what it would do, release nothing",
}
PUSH_BODY: dict[str, shapes.Shape] = {
    "ok": shapes.FLAG,
    "reason": shapes.TEXT,
    "valid_for_s": shapes.NUMBER,
    "measures": {"type": "object"},
    "overloaded": shapes.saying(shapes.TEXT, "it lives and has too much to do: why, in few words"),
}

# Lists: the last word of the path, what is in it, who may see it, and what it is.
LISTS: tuple[tuple[str, str, auth.Role, str], ...] = (
    ("endpoints", "Endpoint", "read", "The endpoints."),
    ("pools", "Pool", "read", "The pools."),
    ("sites", "Site", "read", "The sites."),
    ("names", "Name", "glance", "The steered names."),
)
READY = shapes.record(ready={"const": True})
LIVES = shapes.record(ok={"const": True}, version=shapes.TEXT)
BOARD = shapes.record(
    at=shapes.MOMENT,
    summary=shapes.named("Summary"),
    may=shapes.saying(shapes.some(shapes.TEXT), "what you may do: glance, read, push, acme, operate"),
    you=shapes.saying(shapes.TEXT, "the name of your token, or who you are without one"),
)
PLACES = shapes.record(
    places=shapes.some(
        shapes.record(
            place=shapes.TEXT, continent=shapes.TEXT, per_s=shapes.NUMBER, share=shapes.NUMBER,
            x=shapes.saying(shapes.or_null(shapes.NUMBER), "where on the page's map"), y=shapes.or_null(shapes.NUMBER),
        )
    )
)  # fmt: skip
EVENTS = shapes.record(events=shapes.some(shapes.named("Event")))
ORDERS = shapes.record(orders=shapes.some(shapes.named("Order")), total=shapes.WHOLE)
UNTAKEN: shapes.Answers = {
    409: ("The plan waits for a yes.", shapes.refused_with("Reloaded")),
    422: ("The configuration has problems; the old one stays in force.", shapes.refused_with("Reloaded")),
}
UNREPLACED: shapes.Answers = {
    409: (
        "The version that runs goes on.",
        shapes.refused_with("", {"replaced": shapes.FLAG, "needs_yes": shapes.FLAG}),
    )
}

# Whoever adds a route says here who may use it; a path that is not here needs the role `read` to be told so.
ROUTES = (
    Route("GET", "/", "open", page.page, "The status page, with as much as one may see.", media="text/html"),
    Route("GET", "/static/{build}/{file:.+}", "open", assets.serve, "The files of the page.", media="*/*"),
    Route("GET", "/healthz", "open", read.healthz, "Whether the process lives.", answers=shapes.done(LIVES)),
    Route(
        "GET",
        "/readyz",
        "open",
        read.readyz,
        "Whether DNS is answered from a judged table; 503 with why not.",
        answers=shapes.done(READY),
    ),
    Route("GET", "/metrics", "read", read.scrape, "Metrics for Prometheus.", media="text/plain"),
    Route(
        "GET",
        "/api/v1/status",
        "read",
        read.status,
        "Names, pools, endpoints and processes.",
        answers=shapes.done("Status"),
    ),
    Route(
        "GET",
        "/api/v1/board",
        "glance",
        watch.summary,
        "How things stand in short, and what you may do.",
        answers=shapes.done(BOARD),
    ),
    *(
        Route("GET", f"/api/v1/{word}", needs, watch.part, says, watch.LIST_QUERY, answers=shapes.paged(word, of))
        for word, of, needs, says in LISTS
    ),
    Route(
        "GET",
        "/api/v1/places",
        "read",
        watch.askers,
        "Where the answers of the last minutes went.",
        answers=shapes.done(PLACES),
    ),
    Route(
        "GET",
        "/api/v1/live",
        "glance",
        watch.stream,
        "Changes of what the page shows (server-sent events).",
        media="text/event-stream",
    ),
    Route(
        "GET",
        "/api/v1/explain",
        "read",
        read.explain,
        "Why a name gets its answer.",
        EXPLAIN_QUERY,
        answers=shapes.done("Explanation"),
    ),
    Route(
        "GET",
        "/api/v1/events",
        "read",
        read.list_events,
        "What happened, oldest first.",
        EVENTS_QUERY,
        answers=shapes.done(EVENTS),
    ),
    Route(
        "GET",
        "/api/v1/series",
        "read",
        read.series,
        "What was measured over time, for plots.",
        SERIES_QUERY,
        answers=shapes.done("Series"),
    ),
    Route(
        "GET",
        "/api/v1/analytics",
        "read",
        read.analytics,
        "Who asked what from where, shares of answers beside what was intended, and what failovers moved.",
        {"since": SERIES_QUERY["since"]},
        answers=shapes.done("Analytics"),
    ),
    Route(
        "GET",
        "/api/v1/doctor",
        "read",
        read.doctor,
        "What is served, and how this machine is: what `gtm doctor` begins with.",
        {"zone": "only this zone"},
        answers=shapes.done("Doctor"),
    ),
    Route(
        "GET",
        "/api/v1/orders",
        "read",
        read.list_orders,
        "The orders in force.",
        ORDERS_QUERY,
        answers=shapes.done(ORDERS),
    ),
    Route(
        "GET",
        "/api/v1/stream",
        "read",
        live.stream,
        "Events as they happen (server-sent events).",
        {"after": "begin with the events after this id, like Last-Event-ID"},
        media="text/event-stream",
    ),
    Route(
        "GET",
        "/api/v1/openapi.json",
        "read",
        describe,
        "This description.",
        answers=shapes.done({"type": "object", "required": ["openapi"]}),
    ),
    Route(
        "POST",
        "/api/v1/orders",
        "operate",
        orders.put,
        "Give an order; or, with `dry_run`, say what it would move and whether it would be refused.",
        body=ORDER_BODY,
        required=("target", "order"),
        answers={
            201: ("Done.", shapes.record(order=shapes.named("Order"))),
            200: ("What it would do (`dry_run`).", shapes.named("Preview")),
        },
    ),
    Route(
        "DELETE",
        "/api/v1/orders/{id:.+}",
        "operate",
        orders.drop,
        "Release an order, or all on a target; or, with `dry_run`, say what that would move.",
        RELEASE_QUERY,
        answers=shapes.done(
            shapes.either(shapes.named("Released"), shapes.named("Preview")), "Released; or what that would do."
        ),
    ),
    Route(
        "POST",
        "/api/v1/reload",
        "operate",
        orders.reload,
        "Read the configuration again.",
        body={"yes": shapes.FLAG},
        answers={**shapes.done("Reloaded", "It is in force."), **UNTAKEN},
    ),
    Route(
        "POST",
        "/api/v1/replace",
        "operate",
        orders.replace,
        "Let the installed version take over, once it has proved itself.",
        body={"yes": shapes.FLAG, "within_s": shapes.NUMBER},
        answers={**shapes.done(shapes.record(replaced={"const": True})), **UNREPLACED},
    ),
    *alerts.ROUTES,
    *acme.ROUTES,
    Route(
        "POST",
        "/api/v1/checks/{name}/{endpoint}",
        "push",
        orders.push,
        "Push the news of a check.",
        body=PUSH_BODY,
        required=("ok",),
        answers=shapes.done(shapes.record(accepted={"const": True}), "Taken.", 202),
    ),
)
