"""The files beside this one in, what a browser loads out: under a path that changes when one of them does.

So a browser may keep them for ever, and a module finds its neighbours by relative paths, without a build step.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web

from gtm.web import reply

FOLDER = Path(__file__).parent / "static"
TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
WORTH_PACKING = 1024  # bytes; below that the head weighs more than what is saved


def _load() -> Mapping[str, tuple[str, bytes]]:
    files = sorted(path for path in FOLDER.rglob("*") if path.suffix in TYPES)
    return {path.relative_to(FOLDER).as_posix(): (TYPES[path.suffix], path.read_bytes()) for path in files}


FILES = _load()
BUILD = hashlib.sha256(b"\0".join(name.encode() + b"\0" + body for name, (_, body) in FILES.items())).hexdigest()[:12]
PACKED = {name: gzip.compress(body, 9, mtime=0) for name, (_, body) in FILES.items() if len(body) > WORTH_PACKING}


def sha256(path: Path) -> str:
    """Return a file's digest in hexadecimal, as `vendor/manifest.json` has it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def serve(request: web.Request) -> web.Response:
    """Return one of the files; only these, so a path cannot lead anywhere else."""
    name = request.match_info["file"]
    if name not in FILES:
        raise reply.Denied(404, "not-found", f"there is no {name[:80]!r} among the page's files")
    media, body = FILES[name]
    # A page that was loaded before an upgrade still asks under the old path: it gets what there is, and keeps nothing.
    lasting = request.match_info["build"] == BUILD
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable" if lasting else "no-cache",
        "Vary": "Accept-Encoding",
    }
    if name in PACKED and "gzip" in request.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"], body = "gzip", PACKED[name]
    charset = None if media == "image/svg+xml" else "utf-8"
    return web.Response(body=body, content_type=media, charset=charset, headers=headers)
