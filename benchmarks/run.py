"""Run every benchmark, one after the other, and say on what machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

# By what they show: the answer path alone, the whole UDP path, and what a viewer waits for.
BENCHMARKS = ("benchmarks.respond", "benchmarks.udp_path", "benchmarks.failover")


def main() -> None:
    """Run them; end with 1 when any broke its promise."""
    cores = len(os.sched_getaffinity(0))
    print(f"{platform.platform()}, Python {platform.python_version()}, {cores} cores", flush=True)
    broken = []
    for name in BENCHMARKS:
        print(f"\n== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", name], check=False).returncode:
            broken.append(name)
    if broken:
        sys.exit(f"promises broken: {', '.join(broken)}")


if __name__ == "__main__":
    main()
