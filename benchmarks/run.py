"""Nothing in, `docs/benchmarks/` out: installs the peers when it may, runs every benchmark, prints and writes it down.

`--short` is for a look and for tests: few rounds, nothing written unless `--into` says where.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from benchmarks import failover_peers, report, servers, speed

# What GTM may cost beside gdnsd, by median of rounds, with everything on, the limiter too (gdnsd has none).
PROMISES = {"GTM, the same with a rate limit": 1.7, "GTM, a rate limit and cookies": 1.75}
# By what they show: the answer path alone, the whole UDP path, and what a viewer waits for. Each ends with 1 when it
# breaks a promise of its own.
_OWN = (
    "benchmarks.respond",
    "benchmarks.udp_path",
    "benchmarks.abuse",
    "benchmarks.failover",
    "benchmarks.probes",
    "benchmarks.scale",
    "benchmarks.playlists",
)


def peers(short: bool, into: Path | None) -> list[str]:
    """Measure GTM beside its peers, print the tables, write them down; return the promises that were broken."""
    rounds, seconds, runs = (1, 1.0, 1) if short else (speed.ROUNDS, speed.SECONDS, failover_peers.RUNS)
    fast = speed.measure(rounds=rounds, seconds=seconds)
    print("\n".join(speed.table(fast)), end="\n\n", flush=True)
    times = failover_peers.measure(runs)
    print("\n".join(failover_peers.table(times)), flush=True)
    if into is not None:
        write(into, fast, times)
    if short:  # too few rounds to judge by
        return []
    broken = []
    for label, times_gdnsd in PROMISES.items():
        if (ratio := speed.ratio(fast, label)) > times_gdnsd:
            broken.append(f"{label}: {ratio:.2f} times gdnsd, above {times_gdnsd}")
    if failover_peers.first(times) != failover_peers.FASTEST:
        broken.append(f"failover: {failover_peers.first(times)} was faster")
    return broken


def write(into: Path, fast: dict[str, speed.Result], times: dict[str, list[float]]) -> None:
    """Write the figures as JSON and as pictures."""
    into.mkdir(parents=True, exist_ok=True)
    on, versions = report.machine(), servers.versions()
    figures = {
        "machine": on,
        "versions": versions,
        "cpu_us_per_answer": {
            label: {
                "rounds": one.cpu_us,
                "answers_per_s": one.rate,
                "lost": one.lost,
                "times": speed.ratio(fast, label),
            }
            for label, one in fast.items()
        },
        "failover_s": times,
    }
    (into / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    note = (
        f"Median and spread. {on['processor']}, {on['cores']} cores, {on['kernel']}, Python {on['python'].split()[1]}"
    )
    cpu = {label: one.cpu_us for label, one in fast.items()}
    (into / "speed.svg").write_text(report.bars("CPU for one answer, one worker on one core", "µs", cpu, note))
    (into / "failover.svg").write_text(
        report.bars("From kill -9 of an edge to 40 right answers in a row", "s", times, note)
    )


def main() -> None:
    """Run them; end with 1 when any broke its promise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--into", type=Path, help="where figures.json and the pictures go")
    args = parser.parse_args()
    into = args.into or (None if args.short else servers.ROOT / "docs" / "benchmarks")
    print(", ".join(f"{word} {said}" for word, said in report.machine().items()), flush=True)
    broken = []
    if missing := servers.install():
        broken.append(f"peers not measured, for want of Debian's {', '.join(missing)} (run as root to install them)")
    else:
        print(", ".join(f"{name} {version}" for name, version in servers.versions().items()), end="\n\n", flush=True)
        broken += peers(args.short, into)
    for name in () if args.short else _OWN:
        print(f"\n== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", name], check=False, cwd=servers.ROOT).returncode:
            broken.append(name)
    if broken:
        sys.exit(f"promises broken: {'; '.join(broken)}")


if __name__ == "__main__":
    main()
