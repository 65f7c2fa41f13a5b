"""Database files in, the networks that steering needs and the place of one address out; trouble is told, not raised."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from gtm import errors, files, model, ports, seen
from gtm.steer import geo


@dataclass(slots=True)
class Atlas:
    """The open geography databases. `troubles` names each that could not be used, and why."""

    readers: tuple[ports.GeoReader, ...] = ()
    troubles: tuple[str, ...] = ()

    @classmethod
    def open(cls, snapshot: model.Snapshot) -> Atlas:
        """Open what the configuration names; one that is missing or corrupt is left out and said."""
        readers, troubles = [], []
        for path in snapshot.geo_databases:
            try:
                readers.append(files.open_geo(path))
            except errors.GtmError as error:
                troubles.append(f"{path}: {error}")
        return cls(tuple(readers), tuple(troubles))

    def networks(self, snapshot: model.Snapshot) -> seen.Networks:
        """Return the ranges that this configuration can tell apart. Slow for a big database: seconds, not on a loop."""
        if not self.readers:
            return seen.Networks()
        wanted = geo.interest(snapshot)
        try:
            return geo.networks([reader.ranges() for reader in self.readers], wanted)
        except errors.GtmError as error:
            self.troubles += (str(error),)
            return seen.Networks()

    def location(self, client: str) -> seen.Location:
        """Return what the databases together say of an address or prefix."""
        try:
            address = str(ipaddress.ip_network(client, strict=False).network_address)
        except ValueError:
            return seen.Location()
        records = [reader.get(address) for reader in self.readers]
        return geo.together([geo.location(record) for record in records if record is not None])

    def place(self, client: str) -> str:
        """Return a place in words: `EU-DE AS3320`, or empty when nothing is known."""
        known = self.location(client)
        return " ".join(part for part in (known.place, f"AS{known.asn}" if known.asn else "") if part)

    def built_at(self) -> dict[str, float]:
        """Return when each database was built, wall-clock seconds, by path."""
        return {reader.path: float(reader.build_epoch) for reader in self.readers}
