"""docs/configuration.md in, its examples and its tables out; run as a module, it makes the tables anew."""

from __future__ import annotations

import re
from pathlib import Path

from gtm import app
from gtm.config import reference

PATH = Path(__file__).resolve().parents[2] / "docs/configuration.md"
MARKER = "<!-- settings -->\n\n"


def examples() -> list[str]:
    """Return every YAML block, in order."""
    return re.findall(r"^```yaml\n(.*?)^```$", PATH.read_text(), re.MULTILINE | re.DOTALL)


def current() -> str:
    """Return the page with tables made from the definitions as they are now."""
    return PATH.read_text().partition(MARKER)[0] + MARKER + reference.markdown(app.kinds(), app.senders())


if __name__ == "__main__":
    PATH.write_text(current())
