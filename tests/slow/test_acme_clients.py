"""What ACME clients run: BIND's nsupdate, over UDP and TCP, as acme.sh and certbot's hooks call it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.node import running, test_updates

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

WHERE = test_updates.WHERE


async def nsupdate(node: running.Node, folder: Path, script: str, *words: str, secret: str = "") -> tuple[int, str]:
    """Run nsupdate with a key file as tsig-keygen makes them; return its exit status and what it said."""
    key = folder / "key.conf"
    secret = secret or test_updates.SECRET
    key.write_text(f'key "certbot." {{ algorithm hmac-sha256; secret "{secret}"; }};\n')
    process = await asyncio.create_subprocess_exec(
        "nsupdate", "-k", str(key), *words,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate(f"server {node.dns[0]} {node.dns[1]}\n{script}\nsend\nquit\n".encode())
    assert process.returncode is not None
    return process.returncode, out.decode()


@pytest.mark.parametrize("words", [(), ("-v",)], ids=["udp", "tcp"])
async def test_nsupdate_sets_and_clears_challenges(tmp_path: Path, words: tuple[str, ...]) -> None:
    text = test_updates.CONFIG.format(folder=tmp_path)
    async with running.node(text, tmp_path, environment={"UPDATE_KEY": test_updates.SECRET}) as node:
        # acme.sh names no zone: nsupdate asks for the SOA, and finds it above the name.
        assert await nsupdate(node, tmp_path, f'update add {WHERE} 60 in txt "first"', *words) == (0, "")
        assert await nsupdate(node, tmp_path, f'update add {WHERE} 60 in txt "second"', *words) == (0, "")
        assert await node.answers(WHERE, "TXT") == {'"first"', '"second"'}
        below = f"_acme-challenge.a.b.{test_updates.ZONE}"
        script = f"zone {test_updates.ZONE}\nprereq nxrrset {below} txt\nupdate add {below} 60 txt third"
        assert await nsupdate(node, tmp_path, script, *words) == (0, "")
        code, said = await nsupdate(node, tmp_path, script, *words)
        assert (code, "YXRRSET" in said) == (2, True)
        assert await node.answers(f"b.{test_updates.ZONE}") == {"192.0.2.11"}
        assert await nsupdate(node, tmp_path, f'update delete {WHERE} 60 in txt "first"', *words) == (0, "")
        assert await node.answers(WHERE, "TXT") == {'"second"'}
        assert await nsupdate(node, tmp_path, f"update delete {WHERE} txt\nupdate delete {below}", *words) == (0, "")
        assert (await node.get("/api/v1/acme"))["challenges"] == []
        code, said = await nsupdate(node, tmp_path, f"update add www.{test_updates.ZONE} 60 txt x", *words)
        assert (code, "REFUSED" in said) == (2, True)
        code, said = await nsupdate(
            node, tmp_path, f"update add {WHERE} 60 txt x", *words, secret="d3Jvbmcgc2VjcmV0IQ=="
        )
        assert (code, "NOTAUTH" in said or "BADSIG" in said) == (2, True)
