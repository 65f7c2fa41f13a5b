"""Where secrets are in, what workers and the web must know of them out: read by the control process, as its user."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gtm import answering, errors, model, names
from gtm.serve import encryption, keys, sockets
from gtm.wire import cookies, tsig

MAX_BYTES = 256 * 1024  # of a file: a chain of certificates takes some ten kilobytes
LOOK_S = 10.0  # so soon after a file changed it is read: certificates are renewed weeks before they run out
LEAST_TSIG_BYTES = 16  # RFC 8945 section 8: shorter secrets are guessed
_HTTP = ("http/1.1",)  # what the web speaks inside of TLS


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where the secrets of a node are: those of cookies, the certificate of DNS over TLS, and that of the web."""

    cookies: tuple[answering.Secret, ...] = ()
    dns: model.Certificate | None = None
    web: model.Certificate | None = None
    tsig: tuple[answering.Tsig, ...] = ()
    secondaries: tuple[str, ...] = ()
    updating: tuple[str, ...] = ()  # names of keys; a caretaker knows none, since it can change nothing

    @classmethod
    def of(cls, snapshot: model.Snapshot) -> Wanted:
        """Return what a configuration wants."""
        transfers = [zone.transfer for zone in snapshot.zones if zone.transfer is not None]
        proving = [key for zone in snapshot.zones for key in zone.acme]
        signing = tuple(dict.fromkeys((*(one.tsig for one in transfers if one.tsig is not None), *proving)))
        nets = tuple(dict.fromkeys(net for one in transfers for net in one.allow))
        updating = tuple(dict.fromkeys(one.name for one in proving))
        dns, web = snapshot.dns, snapshot.web
        return cls(dns.cookies.secrets, dns.certificate, web.certificate, signing, nets, updating)

    @classmethod
    def told(cls, told: Mapping[str, Any]) -> Wanted:
        """Return what `dataclasses.asdict` made of one."""
        dns, web = (model.Certificate(**told[name]) if told.get(name) else None for name in ("dns", "web"))
        signing = (
            answering.Tsig(one["name"], one["algorithm"], answering.Secret(**one["secret"]))
            for one in told.get("tsig", ())
        )
        nets = tuple(told.get("secondaries", ()))
        return cls(tuple(answering.Secret(**one) for one in told.get("cookies", ())), dns, web, tuple(signing), nets)

    def files(self) -> list[str]:
        """Return every file that is read."""
        pairs = [one for one in (self.dns, self.web) if one is not None]
        text = [one for one in (*self.cookies, *(key.secret for key in self.tsig)) if one.file]
        return [one.file for one in text] + [path for one in pairs for path in (one.chain, one.key)]


def guards(dns: model.DnsSettings) -> dict[str, Any]:
    """Return what else holds answers back, as workers read it (see `gtm.serve.keys`). There is no secret in it."""
    return {
        "cookies": dns.cookies.enabled,
        "require": dns.cookies.require,
        "exempt": list(dns.rate_exempt),
        "most_times": dns.max_amplification,
        "proxies": list(dns.proxies),
    }


def also(dns: model.DnsSettings) -> list[tuple[str, int, str]]:
    """Return where DNS is spoken inside of something."""
    pairs = ((dns.tls_listen, sockets.TLS), (dns.proxy_listen, sockets.PROXY))
    return [(one.host, one.port, kind) for listen, kind in pairs for one in listen]


class Vault:
    """Reads the secrets and gives them out, again whenever a file changes. What cannot be had is said to `trouble`.

    What was good before stays in use then: a certificate that is half replaced must not end the service.
    """

    def __init__(self, publish: Callable[[keys.Keys], None], trouble: Callable[[str], None]) -> None:
        self.web: encryption.Changing | None = None
        self._publish, self._tell = publish, trouble
        self.troubles: tuple[str, ...] = ()  # what could not be had when it was last read
        self._wanted = Wanted()
        self._given = keys.Keys()
        self._stamp: list[tuple[int, int, int]] = []

    def take(self, wanted: Wanted) -> None:
        """Read everything and give it out."""
        self.troubles = ()
        self._wanted, self._stamp = wanted, _stamp(wanted.files())
        chain, key = self._pair(wanted.dns, encryption.Changing(())) or (self._given.certificate, self._given.key)
        self._given = keys.Keys(
            tuple(_cookies(wanted.cookies, os.environ, self._trouble)), chain, key,
            tuple(_signing(wanted.tsig, os.environ, self._trouble)), wanted.secondaries, wanted.updating,
        )  # fmt: skip
        self._publish(self._given)
        if wanted.web is not None:
            self.web = self.web or encryption.Changing(_HTTP)
            self._pair(wanted.web, self.web)

    def _trouble(self, what: str) -> None:
        self.troubles += (what,)
        self._tell(what)

    def signing(self) -> Mapping[str, tsig.Key]:
        """Return the keys of TSIG that could be read, by name."""
        return {names.text(one.name): one for one in self._given.tsig}

    def look(self) -> None:
        """Read and give out anew if a file is not what it was."""
        if _stamp(self._wanted.files()) != self._stamp:
            self.take(self._wanted)

    async def watch(self) -> None:
        """Look every now and then, for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look()

    def _pair(self, of: model.Certificate | None, user: encryption.Changing) -> tuple[str, str] | None:
        """Return a certificate and its key once `user` has taken them; None when there is none that can be used."""
        if of is None:
            return None
        try:
            found = _text(of.chain), _text(of.key)
            user.take(*found)
        except (OSError, UnicodeDecodeError) as wrong:
            why = wrong.strerror if isinstance(wrong, OSError) else "it is no text"
            self._trouble(f"the certificate {of.chain} with its key {of.key} cannot be read: {why}")
        except errors.GtmError as wrong:
            self._trouble(f"{of.chain} and {of.key}: {wrong}")
        else:
            return found
        return None


def _stamp(files: Sequence[str]) -> list[tuple[int, int, int]]:
    """Return what changes when a file does; zeros for one that is not there."""
    found = []
    for file in files:
        try:
            stat = os.stat(file)
        except OSError:
            found.append((0, 0, 0))
        else:
            found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return found


def _cookies(
    where: Sequence[answering.Secret], environment: Mapping[str, str], trouble: Callable[[str], None]
) -> list[bytes]:
    """Return the secrets of cookies, the newest first; none when the newest cannot be had.

    Then the node makes its own: cookies of others are not good here, and nobody is refused for that.
    """
    found: list[bytes] = []
    for at, one in enumerate(where):
        name = one.file or f"${one.env}"
        try:
            secret = bytes.fromhex((_text(one.file) if one.file else environment.get(one.env, "")).strip())
            if len(secret) != cookies.SECRET_BYTES:
                raise ValueError(name)
        except OSError as wrong:
            trouble(f"the secret of cookies cannot be read: {name}: {wrong.strerror or wrong}")
        except ValueError:  # what it holds is never shown
            trouble(f"the secret of cookies is not 32 hexadecimal digits: {name}")
        else:
            found.append(secret)
            continue
        if at == 0:
            return []
    return found


def _signing(
    wanted: Sequence[answering.Tsig], environment: Mapping[str, str], trouble: Callable[[str], None]
) -> Iterator[tsig.Key]:
    """Yield the keys that can be had; whoever must sign with another gets nothing meanwhile."""
    for one in wanted:
        where = one.secret.file or f"${one.secret.env}"
        try:
            text = _text(one.secret.file) if one.secret.file else environment.get(one.secret.env, "")
            secret = base64.b64decode(text.strip(), validate=True)
            if len(secret) < LEAST_TSIG_BYTES:
                raise ValueError(where)
        except OSError as wrong:
            trouble(f"the secret of the key {one.name} cannot be read: {where}: {wrong.strerror or wrong}")
        except ValueError:
            trouble(f"the secret of the key {one.name} is not at least {LEAST_TSIG_BYTES} bytes in base64: {where}")
        else:
            yield tsig.Key(names.key(one.name), one.algorithm, secret)


def _text(path: str) -> str:
    with Path(path).open(encoding="utf-8") as file:
        return file.read(MAX_BYTES)
