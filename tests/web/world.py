"""How many endpoints and names in, a whole status of that size out, in the shape that a node gives it."""

from __future__ import annotations

from typing import Any

from tests.web import fake_node


def status(*, sites: int = 2, per_site: int = 2, names: int = 3) -> dict[str, Any]:
    """Return a status in which all is well; site `s0` is where the pool `p0` has its endpoints `s0-0`, and so on."""
    endpoints = [
        {
            "endpoint": f"s{site}-{at}", "family": "ipv4", "site": f"s{site}",
            "address": f"10.{site}.{at // 250}.{at % 250}", "state": "up", "serving": True, "weight": 1.0,
            "since": fake_node.NOW - 90, "reason": "up", "order": "", "stale": False,
        }
        for site in range(sites)
        for at in range(per_site)
    ]  # fmt: skip
    pools = [
        {
            "pool": f"p{site}", "usable": True, "up": per_site, "members": per_site, "reason": "",
            "balance": "weighted", "detects_within_s": 2.5,
            "roster": [
                {
                    "endpoint": f"s{site}-{at}", "state": "up", "eligible": True, "weight": 1.0, "share": 1 / per_site,
                    "reason": "up", "order": "",
                }
                for at in range(per_site)
            ],
        }
        for site in range(sites)
    ]  # fmt: skip
    return fake_node.status() | {
        "endpoints": endpoints,
        "pools": pools,
        "names": [
            {"name": f"n{at}.example.com.", "rung": "first", "pools": [f"p{at % sites}"], "ttl": 5}
            for at in range(names)
        ],
        "sites": [
            {"site": f"s{site}", "at": "EU-DE", "lat": 50.0 if site % 2 else None, "lon": 8.0 if site % 2 else None}
            for site in range(sites)
        ],
        "processes": [{"role": "control", "pid": 1}, {"role": "worker", "pid": 2}, {"role": "worker", "pid": 0}],
        "config": {"accepted": True, "at": fake_node.NOW - 3600, "trouble": ""},
        "geo": {"built_at": {"/etc/gtm/city.mmdb": fake_node.NOW - 86400}, "troubles": []},
    }


def fall(body: dict[str, Any], site: int, *, reason: str = "status 503") -> None:
    """Let a whole site of a status die, and the names of its pool fall back."""
    for one in body["endpoints"]:
        if one["site"] == f"s{site}":
            one.update(state="down", serving=False, since=fake_node.NOW - 30, reason=reason)
    pool = body["pools"][site]
    pool.update(usable=False, up=0, reason=f"0 of {pool['members']} up")
    for member in pool["roster"]:
        member.update(state="down", eligible=False, share=0.0, reason=reason)
    for name in body["names"]:
        if name["pools"] == [f"p{site}"]:
            name.update(rung="fallback", pools=["p1"])
