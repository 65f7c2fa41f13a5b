"""Figures in, a picture and the machine that they are from out: SVG bars, and what `make bench` writes down."""

from __future__ import annotations

import html
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

_WIDTH, _LEFT, _ROW, _BAR = 860, 330, 30, 16
_MARGIN = 110  # right of the longest bar, for its figure


def machine() -> dict[str, str]:
    """Return on what all this was measured."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory_kib = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory_kib / 2**20:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "virtual": "yes" if any("hypervisor" in line for line in lines if line.startswith("flags")) else "no",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def bars(title: str, unit: str, rows: Mapping[str, Sequence[float]], note: str) -> str:
    """Return an SVG with a bar for the median of each row and a line from its least to its most; GTM's stand out."""
    most = max(max(values) for values in rows.values())
    scale = (_WIDTH - _LEFT - _MARGIN) / most
    height = 70 + _ROW * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif"'
        ' font-size="13" role="img">',
        f"<title>{html.escape(title)}</title>",
        # Drawn on its own ground, so that it reads on a dark page, too.
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="12" y="24" font-size="15" font-weight="bold">{html.escape(title)}</text>',
    ]
    for at, (label, values) in enumerate(rows.items()):
        top = 40 + _ROW * at
        middle, low, high = statistics.median(values), min(values), max(values)
        color = "#1f6feb" if label.startswith("GTM") else "#9aa4b2"
        spread = f"M{_LEFT + low * scale:.1f} {top + _BAR / 2}H{_LEFT + high * scale:.1f}"
        parts += [
            f'<text x="{_LEFT - 10}" y="{top + 13}" text-anchor="end">{html.escape(label)}</text>',
            f'<rect x="{_LEFT}" y="{top}" width="{middle * scale:.1f}" height="{_BAR}" fill="{color}"/>',
            f'<path d="{spread}" stroke="#111" stroke-width="1.5"/>',
            f'<text x="{_LEFT + high * scale + 8:.1f}" y="{top + 13}">{middle:.2f} {html.escape(unit)}</text>',
        ]
    parts += [f'<text x="12" y="{height - 12}" fill="#555" font-size="11">{html.escape(note)}</text>', "</svg>"]
    return "\n".join(parts) + "\n"
