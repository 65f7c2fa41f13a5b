"""Address prefixes in, whether an address is in one of them out."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from gtm.wire import runtime


class Networks:
    """A few networks that are looked through one by one."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._by: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
        for text in texts:
            network = ipaddress.ip_network(text)
            dropped = runtime.WIDTH[network.version] - network.prefixlen
            self._by[network.version].append((dropped, int(network.network_address) >> dropped))

    def holds(self, family: int, address: int) -> bool:
        """Say whether this address is in one of them."""
        for dropped, network in self._by[family]:  # noqa: SIM110 - a generator costs more than what it looks at
            if address >> dropped == network:
                return True
        return False
