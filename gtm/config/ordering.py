"""The `orders` section in, what is asked of operators' orders out: their default length and the floors they keep."""

from __future__ import annotations

from gtm import model
from gtm.config import fields


class KeepUp(fields.Section):
    """How many members stay in service whatever is ordered; an order that would go below is refused."""

    pool: int = fields.setting(0, "in each pool; 0: no floor", ge=0, le=1000)
    site: int = fields.setting(0, "at each site; 0: no floor", ge=0, le=1000)
    name: int = fields.setting(1, "for each steered name, over all the pools of a rule; 0: no floor", ge=0, le=1000)


class Orders(fields.Section):
    """What is asked of operators' orders."""

    default_for: fields.PositiveDuration | None = fields.setting(
        None, "how long an order lasts that names no end; absent: until it is released"
    )
    require_why: bool = fields.setting(False, "refuse orders without a reason")
    keep_up: KeepUp | None = fields.setting(None, "safety floors of orders; none when absent")


def settings(written: Orders) -> model.OrderSettings:
    """Return the section as the rest of the house knows it."""
    floors = written.keep_up or KeepUp(pool=0, site=0, name=0)
    return model.OrderSettings(
        default_for_s=written.default_for or 0.0,
        require_why=written.require_why,
        keep_pool=floors.pool,
        keep_site=floors.site,
        keep_name=floors.name,
    )
