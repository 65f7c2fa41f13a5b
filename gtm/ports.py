"""The Protocols of the doing rooms: what the brain, the app and the web ask of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from gtm import events, model, seen


class RecordReader(Protocol):
    """Static records' text in, wire form out. Implemented by `gtm.wire.records`; handed to `gtm.config.load`."""

    def record(self, owner: str, rtype: str, ttl_s: int, text: str, origin: str) -> model.Record:
        """Read one record. `owner` is absolute; names in `text` without a last dot are relative to `origin`.

        Raises `RecordError` for an unknown type or bad rdata.
        """

    def zone_file(self, text: str, origin: str, ttl_s: int) -> tuple[model.Record, ...]:
        """Read an RFC 1035 zone file, SOA and NS included. Raises `RecordError` with the line."""


class Prober(Protocol):
    """One probe kind at work."""

    kind: model.Kind

    async def run(self, check: model.Check, memory: dict[str, Any]) -> seen.ProbeResult:
        """Look once, within `check.profile.timeout_s`. `memory` is this check's own and lives as long as it does.

        Never raises for what the endpoint does; a probe that could not run returns `ok=None`.
        """


class Store(Protocol):
    """What outlives the process. Every method may raise `StoreError`; callers go on without."""

    async def open(self) -> str:
        """Make it ready, or see that it is. Return where a corrupt file was set aside, or that the old one is gone;
        nothing when what was kept is there.
        """

    async def close(self) -> None:
        """Write what is pending and let go."""

    async def health(self) -> Mapping[model.CheckKey, seen.Known]:
        """Return what is remembered, by check."""

    async def remember(self, states: Mapping[model.CheckKey, seen.Known]) -> None:
        """Keep these."""

    async def orders(self) -> tuple[seen.Override, ...]:
        """Return the orders that have neither run out nor been released."""

    async def put_order(self, order: seen.Override) -> None:
        """Keep an order; one with the same id is replaced."""

    async def drop_order(self, order_id: str) -> bool:
        """Release an order; say whether it was there."""

    async def append(self, happened: Sequence[events.Event]) -> tuple[events.Event, ...]:
        """Keep events and return them with their ids, which grow."""

    async def events(self, since: float = 0.0, after_id: int = 0, limit: int = 1000) -> tuple[events.Event, ...]:
        """Return events from wall-clock `since` on and with ids above `after_id`, oldest first, the newest `limit`."""

    async def papers(self) -> Mapping[tuple[str, str], str]:
        """Return what somebody keeps under (kind, id): alerts keep here what was said, is to be said, is silenced."""

    async def keep_papers(self, changes: Mapping[tuple[str, str], str | None]) -> None:
        """Put these papers, and drop those that are None: all of it or nothing."""

    async def keep_measured(self, rows: Sequence[seen.Measured]) -> None:
        """Keep measurements; a row of the same moment, step, kind and division is replaced, and old ones go."""

    async def measured(self, step_s: int, kind: str, by: str, since: float) -> tuple[seen.Measured, ...]:
        """Return the rows of periods that ended after wall-clock `since`, oldest first; `kind` empty is all."""


class GeoReader(Protocol):
    """An open MaxMind-format database."""

    path: str
    build_epoch: int

    def ranges(self) -> Iterable[tuple[int, int, int, Mapping[str, Any]]]:
        """Yield (family 4 or 6, network as a number, prefix length, record), in address order."""

    def get(self, address: str) -> Mapping[str, Any] | None:
        """Return the record for one address."""
