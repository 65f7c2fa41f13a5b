"""The nouns of configuration: what an operator wants, read from YAML. Frozen, plain, units in names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from gtm import answering

Family = Literal["ipv4", "ipv6", "cname"]
Status = Literal["unknown", "up", "down"]
Rung = Literal["first", "fallback", "degraded", "last_resort"]
Severity = Literal["info", "warning", "error", "critical"]
Value = str | int | float | bool

KEEP = "keep"  # `source_down: keep`: the answers stay as they are
MANUAL_S = float("inf")  # `failback: manual`: held until an operator releases it


# --- probe kinds: declared by gtm/probes, read by gtm/config -----------------------------------------------------


@dataclass(frozen=True, slots=True)
class Option:
    """One setting of a probe kind beside the common ones.

    `type` is one of: text, path, host, bool, int, port, duration, bytes, number, texts (a list), headers (a mapping
    of text), command (a list, or text split by the shell's rules), tls (true/false or a mapping), choice; for senders
    also secret and url, which may stand in the environment or in a file.
    `default` None means absent. `fills` says that `{name} {label} {zone} {endpoint} {address} {site}` are filled in.
    """

    name: str
    type: str
    doc: str
    default: Value | tuple[str, ...] | None = None
    choices: tuple[str, ...] = ()
    fills: bool = False
    required: bool = False


@dataclass(frozen=True, slots=True)
class Measure:
    """A number or text that a probe reports. `unit` is `s`, `bytes`, `bit/s`, `days`, `` or `text`; times are seconds.

    A name that ends in `.*` stands for a family (`header.*`, `json.*`).
    """

    name: str
    unit: str
    doc: str


@dataclass(frozen=True, slots=True)
class Kind:
    """What a probe kind is: its settings, what it measures, and what it expects when nothing is said.

    `expect` and `warn` are conditions in the configuration's own words. `port` is the default without TLS, `tls_port`
    with; 0 means that the kind has no port. `passive` kinds are told (push), never run. `minimum_body_bytes` is not
    here: bounds live with the probe. `again` names the measure, a time, after which a second look tells more than the
    first: whether a stream moves. `apart` are pairs of options of which a check may set only one.
    """

    name: str
    doc: str
    options: tuple[Option, ...] = ()
    measures: tuple[Measure, ...] = ()
    expect: tuple[str, ...] = ()
    warn: tuple[str, ...] = ()
    port: int = 0
    tls_port: int = 0
    passive: bool = False
    again: str = ""
    apart: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Tls:
    """How a probe speaks TLS. `server_name` empty means the check's host; `ca` is a PEM file's path or empty."""

    verify: bool = True
    server_name: str = ""
    ca: str = ""


OptionValue = Value | tuple[str, ...] | Mapping[str, str] | Tls | None


@dataclass(frozen=True, slots=True)
class Condition:
    """One line of `expect` or `warn`: MEASURE OP VALUE, or MEASURE OP VALUE unless overloaded.

    The latter holds whatever is measured when the endpoint says that it has too much to do. VALUE is `value` (a
    literal, durations in seconds), or (low, high) inclusive in `value_range`, or `values`, or `factor * other` with
    `other` a measure. `text` is the line as written.
    """

    text: str
    measure: str
    op: Literal["==", "!=", "<", "<=", ">", ">=", "in", "contains", "matches"]
    value: Value | None = None
    value_range: tuple[float, float] | None = None
    values: tuple[Value, ...] = ()
    factor: float = 1.0
    other: str = ""
    unit: str = ""
    unless_overloaded: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """Watermarks on a measured number: from `high` on the endpoint has too much to do, until it is at `low` again."""

    measure: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Profile:
    """A reusable health check. `per_name` says that it is run per steered name (it mentions {name} or {label}).

    A line of `expect` that does not hold fails the check; one of `warn` is reported, and the check stays good.
    It eases the endpoint's weight, as do `load`'s watermarks. `publishers` is the measure that counts live
    publishers, for `failback: when_idle`; empty for none.
    """

    name: str
    kind: str
    every_s: float = 5.0
    timeout_s: float = 2.0
    fall: int = 2
    rise: int = 3
    confirm_s: float = 0.5
    on_stale: Literal["keep", "up", "down"] = "keep"
    observe: bool = False
    per_name: bool = False
    expect: tuple[Condition, ...] = ()
    warn: tuple[Condition, ...] = ()
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    load: Load | None = None
    publishers: str = ""

    @property
    def detects_within_s(self) -> float:
        """How long an endpoint can be dead and silent before this check is down, in seconds (semantics A3).

        It died just after a good probe began: one interval, then `fall` time-outs with a confirmation pause between.
        """
        return self.every_s + min(self.confirm_s, self.every_s) * (self.fall - 1) + self.timeout_s * self.fall


class CheckKey(NamedTuple):
    """Which check: `name` is the steered name (absolute, lower case) for checks per name, else empty."""

    profile: str
    endpoint: str
    family: Family
    name: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in self if part)


@dataclass(frozen=True, slots=True)
class Check:
    """One profile applied to one endpoint, family and (where per name) one name; placeholders are filled in.

    `address` is the IP address to dial (for a `cname` endpoint: its host name, resolved by the probe). `port` 0
    means that the kind has none. `options` are the profile's, filled in; `host` is for SNI, Host and DNS questions.
    """

    key: CheckKey
    profile: Profile
    address: str
    port: int
    host: str
    options: Mapping[str, OptionValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckExpr:
    """Which profiles judge: `need` of `of` must pass (all: need == len(of); any: 1)."""

    of: tuple[str, ...]
    need: int


def detects_within_s(judges: Iterable[CheckExpr | None], profiles: Mapping[str, Profile]) -> float | None:
    """Return how long a member that dies silently is taken as up at worst, in seconds (semantics A3 and A5).

    It is down as soon as one of `judges` says so: one of which `need` of n checks must pass, when n - need + 1 of them
    are down. None when nothing votes.
    """
    times = []
    for judge in judges:
        voting = [profiles[name] for name in (judge.of if judge else ()) if name in profiles]
        ranked = sorted(one.detects_within_s for one in voting if not one.observe)
        if judge and ranked:
            times.append(ranked[max(0, len(ranked) - judge.need)])
    return min(times, default=None)


@dataclass(frozen=True, slots=True)
class Site:
    """A failure domain and where it is. `at` is a place (`EU-DE`) or empty; coordinates in degrees or None."""

    name: str
    at: str = ""
    lat: float | None = None
    lon: float | None = None
    depends_on: tuple[str, ...] = ()  # endpoints, or "site:NAME" for sites


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A node: at most one address a family, or a host name that is answered as a CNAME.

    `check` overrides the pools' checks: None says nothing, an empty `of` is `check: none`. `probe_ipv4/6` are the
    addresses to probe (`check_address`), else the served ones.
    """

    name: str
    ipv4: str = ""
    ipv6: str = ""
    hostname: str = ""
    site: str = ""
    tags: tuple[str, ...] = ()
    check: CheckExpr | None = None
    probe_ipv4: str = ""
    probe_ipv6: str = ""
    depends_on: tuple[str, ...] = ()

    def families(self) -> tuple[Family, ...]:
        """Return the families in which this endpoint can be answered."""
        if self.hostname:
            return ("cname",)
        both: tuple[tuple[Family, str], ...] = (("ipv4", self.ipv4), ("ipv6", self.ipv6))
        return tuple(family for family, address in both if address)

    def answer(self, family: Family) -> str:
        """Return what is answered for `family`: an address, or the absolute host name; empty when there is none."""
        return {"ipv4": self.ipv4, "ipv6": self.ipv6, "cname": self.hostname}[family]


@dataclass(frozen=True, slots=True)
class Member:
    """An endpoint's part in a pool. Weight 0 is standby inside its tier; tiers count from 1, lowest first."""

    endpoint: str
    weight: int = 1
    tier: int = 1


@dataclass(frozen=True, slots=True)
class Pool:
    """Members that can stand in for each other. `min_up_share` (0..1, of weight) is used when `min_up` is 0.

    `when_idle`: a member that returned waits until nobody publishes to those that stand in for it, but no longer than
    `failback_s`. `source_down` is the pool to answer from while the stream's source is dead; empty for none.
    """

    name: str
    members: tuple[Member, ...]
    balance: Literal["weighted", "round-robin", "sticky", "nearest", "all"] = "weighted"
    answers: int = 2
    check: CheckExpr | None = None
    min_up: int = 1
    min_up_share: float = 0.0
    failback_s: float = 0.0
    slow_start_s: float = 0.0
    when_idle: bool = False
    source_down: str = ""
    sticky: tuple[int, int] = (24, 56)  # client prefix bits, IPv4 and IPv6


@dataclass(frozen=True, slots=True)
class Audience:
    """A set of clients: any of `places` (`EU`, `EU-DE`, `NA-US-CA`), autonomous systems, or prefixes (as text).

    Regions are resolved: a rule that says `nordics` has here what nordics stands for; `text` keeps the words.
    """

    places: tuple[str, ...] = ()
    asns: tuple[int, ...] = ()
    prefixes: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """Clients (None: everybody) and the pools to try for them, in order."""

    audience: Audience | None
    pools: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LastResort:
    """What is answered when no member of any pool is eligible (semantics B4)."""

    kind: Literal["serve-all", "nodata", "servfail", "address", "cname"] = "serve-all"
    addresses: tuple[str, ...] = ()
    cname: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """How steered names are answered. Names of one zone that say the same share one; see `Zone.steer`.

    A policy with a check per name belongs to that one `name` (absolute); otherwise `name` is empty. `check` is the
    name's own check, laid on top of the pools' (semantics A13). `source_down` says what is answered while the stream's
    source is dead: `keep` (the answers stay), a pool's name, or nothing said (empty). `https` and `srv`: what the name
    answers beside addresses; `follow`: host names are answered as what they lead to, for no CNAME may stand there.
    """

    rules: tuple[Rule, ...]
    ttl_min_s: int = 5
    ttl_max_s: int = 30
    when_all_down: LastResort = LastResort()
    check: CheckExpr | None = None
    name: str = ""
    zone: str = ""
    source_down: str = ""
    https: answering.Https | None = None
    srv: tuple[answering.Service, ...] = ()
    follow: bool = False

    @property
    def pools(self) -> tuple[str, ...]:
        """Every pool that may serve: those of the rules, and the one for a dead source."""
        slate = () if self.source_down in {"", KEEP} else (self.source_down,)
        return tuple(dict.fromkeys((*(pool for rule in self.rules for pool in rule.pools), *slate)))


@dataclass(frozen=True, slots=True)
class Record:
    """One static record in wire form: `owner` is a lower-case wire name, `rdata` uncompressed."""

    owner: bytes
    type: int
    ttl_s: int
    rdata: bytes


@dataclass(frozen=True, slots=True)
class Zone:
    """A served zone. `name` is absolute and lower case.

    `nameservers` are (absolute name, addresses), addresses only for in-zone ones. `records` hold everything static
    but SOA, apex NS and glue of `nameservers`, which are made from the fields here; when the YAML gave no
    nameservers, `soa`/`ns` come from the zone file and stand in `records`. `steer` maps absolute owners (`*.ch...`
    too) to indices into `Snapshot.policies`.
    """

    name: str
    nameservers: tuple[tuple[str, tuple[str, ...]], ...] = ()
    hostmaster: str = ""
    ttl_s: int = 300
    negative_ttl_s: int = 10
    records: tuple[Record, ...] = ()
    steer: Mapping[str, int] = field(default_factory=dict)
    transfer: answering.Transfer | None = None
    acme: tuple[answering.Tsig, ...] = ()  # keys that may set challenges by UPDATE


@dataclass(frozen=True, slots=True)
class Listen:
    """One address and port; `host` is an IP address."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files of a certificate with its chain, and of its key."""

    chain: str
    key: str


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """`workers` 0 means one per core. `rate_limit` is (responses per second, slip) or None, `rate_exempt` networks that
    it leaves alone. `max_amplification` 0: none.
    """

    listen: tuple[Listen, ...] = (Listen("127.0.0.1", 5300),)
    workers: int = 0
    rate_limit: tuple[float, int] | None = None
    explain_to: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    tcp_connections: int = 1024
    tcp_per_client: int = 32
    tcp_idle_s: float = 15.0
    rate_exempt: tuple[str, ...] = ()
    max_amplification: float = 0.0
    cookies: answering.Cookies = field(default_factory=answering.Cookies)
    tls_listen: tuple[Listen, ...] = ()
    certificate: Certificate | None = None
    proxy_listen: tuple[Listen, ...] = ()
    proxies: tuple[str, ...] = ()  # networks whose word for whom they ask is believed
    query_log: answering.QueryLog | None = None
    dnstap: answering.Dnstap | None = None
    resolvers: tuple[Listen, ...] = ()  # that follow host names; none: those of the machine


@dataclass(frozen=True, slots=True)
class Token:
    """An API token's name and where its secret is: an environment variable or a file, never the secret itself."""

    name: str
    role: Literal["operator", "viewer", "pusher", "acme"]
    secret_env: str = ""
    secret_file: str = ""
    secret: str = ""  # only when written in the open, which is warned about; never shown
    endpoints: tuple[str, ...] = ()  # globs: whom a pusher speaks for; empty is everybody


@dataclass(frozen=True, slots=True)
class WebSettings:
    """`listen` None switches the web off. `public` is what everybody may see."""

    listen: Listen | None = Listen("127.0.0.1", 8053)
    tokens: tuple[Token, ...] = ()
    url: str = ""  # as people reach the page; alerts link to it
    certificate: Certificate | None = None
    doh: bool = False
    public: Literal["off", "names"] = "off"
    event_streams: int = 64  # semantics G6


@dataclass(frozen=True, slots=True)
class FlapSettings:
    """Semantics A10. `returns` 0 switches it off."""

    window_s: float = 900.0
    returns: int = 4
    hold_s: float = 30.0
    max_s: float = 600.0


@dataclass(frozen=True, slots=True)
class OrderSettings:
    """What is asked of operators' orders. `default_for_s` 0: an order that names no end has none.

    `keep_*` are the members in service that no order may take from a pool, a site or a steered name; 0 is no floor.
    """

    default_for_s: float = 0.0
    require_why: bool = False
    keep_pool: int = 0
    keep_site: int = 0
    keep_name: int = 0


@dataclass(frozen=True, slots=True)
class Receiver:
    """Somebody who gets alerts: of which kinds of events, from which severity on, about which subjects.

    `options` are the sender's own settings; what is secret stands there as NAME_env, NAME_file, or NAME in the open.
    """

    name: str
    kind: str
    on: tuple[str, ...] = ("pool", "name", "guard")
    hold_s: float = 0.0
    remind_s: float = 0.0
    severity: Severity = "info"
    match: tuple[str, ...] = ()
    timeout_s: float = 10.0
    options: Mapping[str, OptionValue] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One whole accepted configuration. Everything in it refers only to what is in it."""

    digest: str
    node: str
    dns: DnsSettings
    web: WebSettings
    store: str  # "sqlite:///path", absolute; "memory:" in tests and demos
    geo_databases: tuple[str, ...]
    regions: Mapping[str, Audience]
    profiles: Mapping[str, Profile]
    endpoints: Mapping[str, Endpoint]
    sites: Mapping[str, Site]
    pools: Mapping[str, Pool]
    policies: tuple[Policy, ...]
    zones: tuple[Zone, ...]
    checks: Mapping[CheckKey, Check]
    guard_min_alive: float | None = None  # share 0..1; None is off
    flap: FlapSettings = FlapSettings()
    orders: OrderSettings = OrderSettings()
    alerts: tuple[Receiver, ...] = ()
    files: tuple[str, ...] = ()
