"""What all kinds have in common: what an endpoint says goes into a reason of bounded length."""

from __future__ import annotations

import pytest

from gtm import model
from gtm.probes import prober
from tests.probes import probe_servers


@pytest.mark.parametrize("how", [prober.Failed, prober.NotRun, OSError])
async def test_G6_a_reason_is_cut_however_much_an_endpoint_says(how: type[Exception]) -> None:
    async def look(trial: prober.Trial) -> str:
        trial.overloaded = "o" * 100_000
        raise how("x" * 100_000)

    found = await prober.Prober(model.Kind("x", "x"), look).run(probe_servers.make("x"), {})
    assert (found.reason, found.overloaded) == ("x" * prober.REASON_CHARS, "o" * prober.REASON_CHARS)
