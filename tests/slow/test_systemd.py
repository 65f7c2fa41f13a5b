"""systemd's own tools read the units: how exposed the service is, and whether every directive is understood."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
EXPOSURE = 20  # of 100, so 2.0 as the tool prints it


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", "--no-pager", *arguments], capture_output=True, text=True, check=False)


def test_the_service_is_exposed_by_two_points_at_the_most() -> None:
    done = analyze("security", "--offline=true", f"--threshold={EXPOSURE}", str(ROOT / "systemd" / "gtm.service"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Overall exposure level" in done.stdout


def test_a_looser_service_would_be_found_out(tmp_path: Path) -> None:
    text = (ROOT / "systemd" / "gtm.service").read_text()
    loose = tmp_path / "gtm.service"
    loose.write_text("\n".join(line for line in text.splitlines() if not line.startswith(("Protect", "SystemCall"))))
    assert analyze("security", "--offline=true", f"--threshold={EXPOSURE}", str(loose)).returncode != 0


@pytest.mark.parametrize("name", ["gtm.service", "gtm.socket"])
def test_every_directive_of_a_unit_is_understood(tmp_path: Path, name: str) -> None:
    # The tool looks for the program on this machine; what it is called there is not what is judged here.
    for unit in ("gtm.service", "gtm.socket"):
        text = (ROOT / "systemd" / unit).read_text().replace("/opt/gtm/bin/gtm", "/bin/true")
        (tmp_path / unit).write_text(text)
    done = analyze("verify", "--man=no", "--recursive-errors=no", str(tmp_path / name))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_user_and_the_folders_are_read_as_they_are_meant(tmp_path: Path) -> None:
    for folder in ("etc", "var/lib", "run"):
        (tmp_path / folder).mkdir(parents=True)
    user = subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}", str(ROOT / "systemd/sysusers.d/gtm.conf")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert user.returncode == 0, user.stderr
    assert "gtm:x:" in (tmp_path / "etc/passwd").read_text()
    made = subprocess.run(
        ["systemd-tmpfiles", f"--root={tmp_path}", "--create", str(ROOT / "systemd/tmpfiles.d/gtm.conf")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "etc/gtm/zones").is_dir()
    assert (tmp_path / "var/lib/gtm").stat().st_mode & 0o777 == 0o750
