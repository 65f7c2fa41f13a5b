"""The sections of a configuration as pydantic models: every key, its meaning and its default.

What editors complete (`gtm.config.editor`), what `docs/configuration.md` lists and what is validated is this one set
of definitions. Check profiles differ by kind: their models are in `gtm.config.kinds`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic
import pydantic_core.core_schema

from gtm import model
from gtm.config import doors, fields, guarding, kinds, observing, ordering, services, transfers, updating


class Or:
    """Says in JSON Schema that something shorter may stand where the annotated type is expected."""

    def __init__(self, *shorter: dict[str, Any]) -> None:
        self.shorter = shorter

    def __get_pydantic_json_schema__(
        self, core: pydantic_core.core_schema.CoreSchema, handler: pydantic.GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [*self.shorter, handler(core)]}


_NAME = {"type": "string"}
_NAMES = {"type": "array", "items": _NAME, "minItems": 1}


class Tcp(fields.Section):
    """Bounds of DNS over TCP."""

    connections: int = fields.setting(1024, "connections at a time, all in all", ge=1, le=65536)
    per_client: int = fields.setting(32, "connections at a time from one client address", ge=1, le=65536)
    idle: fields.PositiveDuration = fields.setting("15s", "after how long without a question a connection is closed")


class Dns(fields.Section):
    """Where and how DNS is answered."""

    listen: fields.Listens = fields.setting(["127.0.0.1:5300"], "addresses and ports, UDP and TCP on each")
    workers: int | None = fields.setting(None, "processes that answer; default: one for each core", ge=1, le=256)
    rate_limit: guarding.RateLimit | None = fields.setting(None, "response rate limiting; off when absent")
    explain_to: fields.Networks = fields.setting(["127.0.0.0/8", "::1/128"], "who may see steering reasons over DNS")
    tcp: Tcp = fields.setting({}, "bounds of DNS over TCP")
    cookies: guarding.Cookies = fields.setting({}, "DNS cookies (RFC 7873, RFC 9018)")
    tls: doors.Tls | None = fields.setting(None, "DNS over TLS; off when absent")
    proxy: doors.Proxy | None = fields.setting(None, "DNS behind proxies; off when absent")
    resolvers: list[fields.Listen] = fields.setting(
        [], "resolvers that follow host names at the apex of zones, with ports; default: those of this machine"
    )
    max_amplification: float | None = fields.setting(
        None, "answers over UDP to who has shown no cookie are at most so many times as long as the question", ge=1
    )
    query_log: observing.QueryLog | None = fields.setting(None, "some of the answers as JSON lines; off when absent")
    dnstap: observing.Dnstap | None = fields.setting(None, "answers for tools that read dnstap; off when absent")


class Token(fields.Section):
    """One key to the HTTP API; the secret itself stands in the environment or in a file."""

    name: fields.Name = fields.needed("who this is; shown beside what they ordered")
    role: Literal["operator", "viewer", "pusher", "acme"] = fields.needed(
        "`viewer` reads, `operator` orders too, `pusher` does nothing but push the news of `kind: push` checks, `acme` "
        "nothing but set and clear ACME challenges"
    )
    endpoints: fields.Texts = fields.setting([], "for a pusher: whom it speaks for, as globs; default: every endpoint")
    secret_env: fields.Text | None = fields.setting(None, "environment variable that holds the secret")
    secret_file: fields.Text | None = fields.setting(None, "file that holds the secret, relative to this file")
    secret: fields.Text | None = fields.setting(None, "the secret in the open; warned about")

    @pydantic.model_validator(mode="after")
    def _one_secret(self) -> Token:
        if sum(one is not None for one in (self.secret_env, self.secret_file, self.secret)) != 1:
            raise fields.refuse("bad-token", "a token has one of `secret_env`, `secret_file` and `secret`")
        if self.endpoints and self.role != "pusher":
            raise fields.refuse("bad-token", "`endpoints` is for `role: pusher`", about="endpoints")
        return self


class Web(fields.Section):
    """The status page, the HTTP API and `/metrics`."""

    listen: fields.ListenOrOff = fields.setting("127.0.0.1:8053", "address and port; `off` switches the web off")
    url: fields.WebUrl | None = fields.setting(None, "the page's address as people reach it; alerts link to it")
    tls: doors.Certificate | None = fields.setting(None, "its certificate; without one the web is not encrypted")
    doh: bool = fields.setting(False, "answer DNS over HTTPS at /dns-query (RFC 8484)")
    tokens: list[Token] = fields.setting([], "who may read and order; without any, orders are taken from loopback only")
    public: Literal["off", "names"] = fields.setting(
        "off", "what the page shows to who has no token: nothing, or the names and how well they are answered"
    )
    event_streams: int = fields.setting(
        64,
        "pages and scripts that may follow the node at a time; half of them without a token, where `public` lets"
        " strangers look",
        ge=1,
        le=400,
    )


class Geo(fields.Section):
    """Where clients are."""

    databases: fields.Texts = fields.setting([], "files in MaxMind DB format, asked in order, relative to this file")
    regions: dict[fields.Name, fields.SomeTexts] = fields.setting(
        {}, "names for sets of clients, usable wherever a place is"
    )


class Endpoint(fields.Section):
    """A node that can be answered: its addresses, or a host name that is answered as a CNAME."""

    address: fields.Addresses | None = fields.setting(None, "one IPv4 address, one IPv6 address, or a list of both")
    hostname: fields.Host | None = fields.setting(None, "host name to answer as CNAME, instead of addresses")
    check: kinds.CheckExprOrNone | None = fields.setting(
        None, "check profiles in place of the pools'; `none` for no check"
    )
    check_address: fields.Addresses | None = fields.setting(
        None, "probe these addresses instead of those that are served"
    )
    site: fields.Name | None = fields.setting(None, "the site (failure domain) that it is in")
    tags: fields.Names | None = fields.setting(None, "words to find it by")
    depends_on: fields.Texts | None = fields.setting(None, "endpoints or sites without which this one counts as down")

    @pydantic.model_validator(mode="after")
    def _answerable(self) -> Endpoint:
        if (self.address is None) == (self.hostname is None):
            raise fields.refuse("bad-endpoint", "an endpoint has either `address` or `hostname`")
        return self


class Site(fields.Section):
    """A failure domain, and where it is."""

    at: fields.Text | None = fields.setting(None, "its place, such as EU-DE")
    lat: fields.Number | None = fields.setting(None, "latitude in degrees, north is positive", ge=-90, le=90)
    lon: fields.Number | None = fields.setting(None, "longitude in degrees, east is positive", ge=-180, le=180)
    depends_on: fields.Texts | None = fields.setting(None, "endpoints or sites without which this one counts as down")

    @pydantic.model_validator(mode="after")
    def _both_or_none(self) -> Site:
        if (self.lat is None) != (self.lon is None):
            raise fields.refuse(
                "missing-key", "`lat` and `lon` come together", about="lat" if self.lat is not None else "lon"
            )
        return self


class Member(fields.Section):
    """An endpoint's part in a pool."""

    weight: int = fields.setting(1, "share of answers, beside the others' weights; 0 is standby", ge=0, le=65535)
    tier: int = fields.setting(1, "the lowest tier with an eligible member serves", ge=1, le=255)


def _member(value: object) -> object:
    return {"weight": value} if not isinstance(value, dict) else value


def _members(value: object) -> object:
    if not isinstance(value, list):
        return value
    listed = [one for one in value if isinstance(one, str)]
    if len(listed) != len(value):
        raise fields.refuse("wrong-type", "a list of members holds names of endpoints", "weights: {fra-1: 3, ams-1: 1}")
    if len(set(listed)) != len(listed):
        raise fields.refuse("doubled-name", "an endpoint is listed twice", "{fra-1: 2} gives it a double share")
    return {one: {} for one in listed}


class Sticky(fields.Section):
    """How much of a client's address decides where it sticks."""

    ipv4: int = fields.setting(24, "bits of an IPv4 address", ge=1, le=32)
    ipv6: int = fields.setting(56, "bits of an IPv6 address", ge=1, le=128)


class Pool(fields.Section):
    """Endpoints that can stand in for each other."""

    members: Annotated[
        dict[fields.Name, Annotated[Member, pydantic.BeforeValidator(_member), Or({"type": "integer", "minimum": 0})]],
        pydantic.BeforeValidator(_members),
        Or(_NAMES),
    ] = fields.needed("endpoints with their weights: {fra-1: 3, lon-1: {weight: 1, tier: 2}}, or a list")
    balance: Literal["weighted", "round-robin", "sticky", "nearest", "all"] = fields.setting(
        "weighted", "how answers are shared among the members; sticky with `failback: when_idle`, unless it is written"
    )
    answers: int = fields.setting(
        2, "records in one answer; 1 with `failback: when_idle`, unless it is written", ge=1, le=8
    )
    check: kinds.CheckExprOrNone | None = fields.setting(None, "the check profiles that judge its members")
    min_up: fields.MinUp = fields.setting(
        1, "members (2) or share of the weight (50%) that must be up for the pool to be used"
    )
    failback: fields.Failback = fields.setting(
        "0s",
        "hold-down before a recovered member is used again; `manual` waits for `gtm release`, `when_idle` until nobody "
        "publishes to its stand-in, at most 12h or {when_idle: 2h}",
    )
    source_down: fields.Text | None = fields.setting(
        None, "while a stream is dead on all nodes: `keep` its answers, or answer from this pool (a slate)"
    )
    slow_start: fields.Duration = fields.setting(
        "0s", "after recovery, weight grows from a tenth to full over this time"
    )
    sticky: Sticky = fields.setting({}, "client prefix that `balance: sticky` goes by")

    @pydantic.model_validator(mode="after")
    def _has_members(self) -> Pool:
        if not self.members:
            raise fields.refuse("empty-pool", "the pool has no members")
        return self


def _nameservers(value: object) -> object:
    value = [value] if isinstance(value, str) else value
    if isinstance(value, list):
        return {fields.text_of(one, "a host name"): [] for one in value}
    if isinstance(value, dict):
        return {name: [] if addresses is None else addresses for name, addresses in value.items()}
    return value


class RecordSet(pydantic.BaseModel):
    """The static records of one owner: a type's name to its text in presentation format, or a list of texts."""

    model_config = pydantic.ConfigDict(strict=True, extra="allow", frozen=True)
    __pydantic_extra__: dict[str, fields.SomeTexts]

    ttl: fields.Ttl | None = fields.setting(None, "TTL of these records; default: the zone's")


class Rule(fields.Section):
    """Clients, and the pools to try for them."""

    places: fields.SomeTexts | None = fields.setting(
        None, "places, prefixes, AS numbers or regions; absent: everybody", alias="for"
    )
    pools: fields.Names = fields.needed("pools to try, in this order", alias="try")


def _last_resort(value: object) -> model.LastResort:
    if isinstance(value, model.LastResort):
        return value
    if value in ("serve-all", "nodata", "servfail"):
        return model.LastResort(kind=value)
    if isinstance(value, dict) and len(value) == 1 and value.get("address"):
        addresses = value["address"] if isinstance(value["address"], list) else [value["address"]]
        return model.LastResort(kind="address", addresses=tuple(fields.address_of(one) for one in addresses))
    if isinstance(value, dict) and len(value) == 1 and isinstance(value.get("cname"), str):
        return model.LastResort(kind="cname", cname=fields.domain_of(value["cname"]))
    hint = "write serve-all, nodata, servfail, {address: [...]} or {cname: ...}"
    raise fields.refuse("bad-value", f"{fields.shown(value)} is not something to do when all are down", hint)


_LAST_RESORT_SCHEMA = {
    "anyOf": [
        {"enum": ["serve-all", "nodata", "servfail"]},
        *(
            {"type": "object", "properties": {key: one}, "required": [key], "additionalProperties": False}
            for key, one in (
                ("address", {"anyOf": [_NAME, _NAMES], "description": "addresses to answer then"}),
                ("cname", {**_NAME, "description": "host name to answer then"}),
            )
        ),
    ]
}


class Steer(fields.Section):
    """How one name is answered."""

    pools: fields.Names | None = fields.setting(None, "pools to try, in this order; short for one rule", alias="try")
    rules: list[Rule] | None = fields.setting(None, "first match wins; the last rule has no `for`", min_length=1)
    ttl: fields.TtlBounds = fields.setting("5s..30s", "a single value, or bounds inside which it follows health")
    when_all_down: Annotated[
        model.LastResort, pydantic.BeforeValidator(_last_resort), pydantic.WithJsonSchema(_LAST_RESORT_SCHEMA)
    ] = fields.setting("serve-all", "what is answered when no member of any pool can be")
    check: kinds.CheckExpr | None = fields.setting(None, "check profiles that judge the members for this name, on top")
    source_down: fields.Text | None = fields.setting(
        None, "while the stream is dead on all nodes: `keep` the answers, or answer from this pool; default: the pool's"
    )
    failover_within: fields.PositiveDuration | None = fields.setting(
        None, "promise: a silent death is out of all answers within this; a warning says when the checks are too slow"
    )
    https: services.Https | None = fields.setting(None, "answer an HTTPS record, too; none when absent")
    srv: services.Srv = fields.setting({}, "SRV records below the name: service and port, `{_rtmp._tcp: 1935}`")
    labels: fields.SomeTexts | None = fields.setting(
        None, "for a wildcard: the names under it that are checked one by one"
    )

    @pydantic.model_validator(mode="after")
    def _try_or_rules(self) -> Steer:
        if (self.pools is None) == (self.rules is None):
            raise fields.refuse("bad-steer", "a steered name has either `try` or `rules`")
        return self


def _steer(value: object) -> object:
    return {"try": value} if isinstance(value, str | list) else value


class Zone(fields.Section):
    """A zone that is served: its static records, and its steered names."""

    nameservers: Annotated[
        dict[fields.Text, Annotated[list[fields.Address], pydantic.BeforeValidator(fields.listed), Or(_NAME)]],
        pydantic.BeforeValidator(_nameservers),
        Or(_NAME, _NAMES),
    ] = fields.setting({}, "in-zone names with their addresses, or a list of names")
    hostmaster: fields.Text | None = fields.setting(None, "mail address of whoever answers for the zone")
    ttl: fields.Ttl = fields.setting(300, "TTL of static records")
    negative_ttl: fields.Ttl = fields.setting(10, "how long resolvers keep it that something does not exist")
    records: dict[fields.Text, RecordSet] = fields.setting({}, "static records by owner (`@` is the zone itself)")
    file: fields.Text | None = fields.setting(None, "an RFC 1035 zone file with static records, relative to this file")
    steer: dict[fields.Text, Annotated[Steer, pydantic.BeforeValidator(_steer), Or(_NAME, _NAMES)]] = fields.setting(
        {}, "steered names by owner: `play`, `@`, `*.ch`"
    )
    acme: updating.Acme | None = fields.setting(None, "ACME clients that may UPDATE this zone; none when absent")
    transfer: transfers.Transfer | None = fields.setting(None, "secondaries that follow this zone; none when absent")


class Guard(fields.Section):
    """Distrust of our own eyes."""

    min_alive: fields.Percent = fields.needed("fewer endpoints alive at once than this: hold the last verdicts")


class Flap(fields.Section):
    """What is done about members that come and go."""

    window: fields.PositiveDuration = fields.setting("15m", "how far back returns are counted")
    returns: int = fields.setting(4, "from this return within the window on, the member is held down", ge=2, le=1000)
    hold: fields.PositiveDuration = fields.setting("30s", "the first hold-down; it doubles with each further return")
    max: fields.PositiveDuration = fields.setting("10m", "the longest hold-down")


def _off(value: object) -> object:
    return None if value in ("off", False) else value


def _store(value: object) -> str:
    text = fields.text_of(value, "a store")
    path = text.removeprefix("sqlite://")
    if text != "memory:" and (path == text or not path.startswith("/") or path.endswith("/")):
        raise fields.refuse("bad-store", f"{fields.shown(text)} is not a store", "sqlite:///var/lib/gtm/gtm.db")
    return text


class Config(fields.Section):
    """A whole configuration. Every file may hold any section; sections merge by name."""

    node: fields.Name | None = fields.setting(
        None, "this nameserver's own name: its vantage name, its NSID; default: host name"
    )
    dns: Dns = fields.setting({}, "where and how DNS is answered")
    web: Web = fields.setting({}, "the status page, the HTTP API and /metrics")
    store: Annotated[str, pydantic.BeforeValidator(_store)] | None = fields.setting(
        None, "what outlives the process: sqlite:///PATH, or memory:"
    )
    geo: Geo = fields.setting({}, "where clients are")
    include: fields.Texts = fields.setting([], "further files, as globs relative to this file")
    checks: dict[fields.Name, Any] = fields.setting({}, "health-check profiles")
    endpoints: dict[fields.Name, Endpoint] = fields.setting({}, "the nodes that can be answered")
    sites: dict[fields.Name, Site] = fields.setting({}, "failure domains, and where they are")
    pools: dict[fields.Name, Pool] = fields.setting({}, "endpoints that can stand in for each other")
    zones: dict[fields.Text, Zone] = fields.setting({}, "what is served")
    guard: Guard | None = fields.setting(None, "distrust of our own eyes; off when absent")
    flap: Annotated[Flap | None, pydantic.BeforeValidator(_off), Or({"enum": ["off", False]})] = fields.setting(
        {}, "what is done about members that come and go; `off` switches it off"
    )
    orders: ordering.Orders = fields.setting({}, "what is asked of operators' orders")
    alerts: list[Any] = fields.setting([], "where to send what happened")
