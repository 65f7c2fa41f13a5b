"""What endpoints and sites depend on in, why an endpoint is down because of another out (semantics A6)."""

from __future__ import annotations

from collections.abc import Callable

from gtm import model

SITE = "site:"


class Dependencies:
    """The dependencies of one configuration, followed through sites and from one to the next.

    A dependency on an endpoint is down when that endpoint is down in every family by its own checks; one on a site
    when every endpoint there that is looked at (or depends on something) is down.
    """

    def __init__(self, snapshot: model.Snapshot) -> None:
        checked = {key.endpoint for key, check in snapshot.checks.items() if not check.profile.observe}
        self._needs: dict[str, tuple[str, ...]] = {
            SITE + site.name: site.depends_on for site in snapshot.sites.values() if site.depends_on
        }
        self._members: dict[str, list[str]] = {}
        for endpoint in snapshot.endpoints.values():
            site = snapshot.sites.get(endpoint.site)
            # A site's own router stands in that site and does not wait for itself.
            inherited = site.depends_on if site is not None and endpoint.name not in site.depends_on else ()
            needs = tuple(dict.fromkeys((*endpoint.depends_on, *inherited)))
            if needs:
                self._needs[endpoint.name] = needs
            if endpoint.site and (needs or endpoint.name in checked):
                self._members.setdefault(SITE + endpoint.site, []).append(endpoint.name)
        self._sources = {name: self._closure(name) for name in snapshot.endpoints if name in self._needs}
        self._dependants: dict[str, set[str]] = {}
        for name, sources in self._sources.items():
            for source in sources:
                self._dependants.setdefault(source, set()).add(name)

    def sources(self, endpoint: str) -> frozenset[str]:
        """Return every endpoint whose state can take this one down."""
        return self._sources.get(endpoint, frozenset())

    def dependants(self, endpoint: str) -> set[str]:
        """Return every endpoint that this one can take down."""
        return self._dependants.get(endpoint, set())

    def cause(self, endpoint: str, is_down: Callable[[str], bool]) -> str:
        """Return why `endpoint` is down through others (`nyc-router is down`), or nothing."""
        return self._cause(endpoint, is_down, {endpoint}) if endpoint in self._needs else ""

    def _cause(self, what: str, is_down: Callable[[str], bool], seen: set[str]) -> str:
        """`seen` makes an end of loops, which the loader refuses (B12) but which must not hang a nameserver."""
        for need in self._needs.get(what, ()):
            if need in seen:
                continue
            inside = seen | {need}
            if need.startswith(SITE):
                members = [one for one in self._members.get(need, ()) if one not in seen]
                if members and all(is_down(one) or self._cause(one, is_down, inside | {one}) for one in members):
                    return f"site {need.removeprefix(SITE)} is down"
            elif is_down(need):
                return f"{need} is down"
            deeper = self._cause(need, is_down, inside)
            if deeper:
                return deeper
        return ""

    def _closure(self, start: str) -> frozenset[str]:
        found: set[str] = set()
        todo = [start]
        while todo:
            what = todo.pop()
            for need in (*self._needs.get(what, ()), *(self._members.get(what, ()))):
                if need not in found:
                    found.add(need)
                    todo.append(need)
        return frozenset(one for one in found if not one.startswith(SITE) and one != start)
