"""A DNS check in, the rcode and answers that the endpoint gives as a nameserver out.

Datagrams that do not belong to the question are passed over, and the probe keeps listening: a forged packet must not
end the wait (CVE-2023-29483). What is too long is not read at all: the 64 KiB that TCP allows would take a tenth of a
second, in which no other probe leaves.
"""

from __future__ import annotations

from typing import Any

import dns.asyncbackend
import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from gtm import model
from gtm.probes import dial, prober

KIND = model.Kind(
    name="dns",
    doc="one question to the endpoint as a nameserver, over UDP, and over TCP when the answer is truncated",
    options=(
        model.Option("qname", "host", "name to ask for; the check's host when absent", fills=True),
        model.Option("qtype", "text", "type to ask for", "A"),
        model.Option("recursion", "bool", "ask for recursion (RD)", False),
        model.Option("max_bytes", "bytes", "how long an answer may be: a longer one fails, and takes no time", 4096),
        model.Option("transport", "choice", "how to ask", "udp", choices=("udp", "tcp")),
        dial.HOST,
    ),
    measures=(
        model.Measure("rcode", "text", "NOERROR, NXDOMAIN, SERVFAIL, ..."),
        model.Measure("answers", "text", "the answer section's data, sorted, `, ` between"),
        model.Measure("answers.count", "", "how many records the answer section has"),
        model.Measure("authoritative", "", "whether the AA bit is set"),
        prober.TIME_TOTAL,
    ),
    expect=("rcode == NOERROR",),
    port=53,
)


async def look(trial: prober.Trial) -> str:
    """Ask once."""
    address = await dial.find(trial)
    question = _question(trial)
    port, timeout_s = trial.check.port, trial.left_s() + 1  # the probe's own deadline comes first
    bounded = _Backend(trial.number("max_bytes"))
    try:
        if trial.text("transport") == "tcp":
            answer = await dns.asyncquery.tcp(question, address, timeout_s, port, backend=bounded)
        else:
            answer, _ = await dns.asyncquery.udp_with_fallback(
                question,
                address,
                timeout_s,
                port,
                ignore_unexpected=True,
                ignore_errors=True,
                backend=bounded,
            )
    except dns.exception.DNSException as error:
        raise prober.Failed(f"not a DNS answer to the question: {error or type(error).__name__}") from None
    except EOFError:
        raise prober.Failed("connection closed without an answer") from None
    data = sorted(record.to_text() for rrset in answer.answer for record in rrset)
    trial.measures["rcode"] = dns.rcode.to_text(answer.rcode())
    trial.measures["answers"] = ", ".join(data)
    trial.measures["answers.count"] = len(data)
    trial.measures["authoritative"] = bool(answer.flags & dns.flags.AA)
    return ""


def _question(trial: prober.Trial) -> dns.message.QueryMessage:
    name, kind = trial.text("qname") or trial.host, trial.text("qtype")
    try:
        question = dns.message.make_query(name, kind, use_edns=0, payload=1232)
    except (dns.exception.DNSException, ValueError) as error:
        raise prober.NotRun(f"{name} {kind} cannot be asked: {error or type(error).__name__}") from None
    if not trial.flag("recursion"):
        question.flags &= ~dns.flags.RD
    return question


class _Backend:
    """Opens sockets as dnspython's own backend does; no answer comes from them that is longer than `limit_bytes`."""

    def __init__(self, limit_bytes: int) -> None:
        self._inner: Any = dns.asyncbackend.get_backend("asyncio")
        self._limit_bytes = limit_bytes
        self.datagram_connection_required = self._inner.datagram_connection_required

    async def make_socket(self, *args: Any, **kwargs: Any) -> Any:
        """Open a socket. Its bytes are read by `recvfrom` or by `recv`."""
        sock = await self._inner.make_socket(*args, **kwargs)
        if hasattr(sock, "recvfrom"):
            sock.recvfrom = self._cut(sock.recvfrom)
        else:
            sock.recv = self._refusing(sock.recv)
        return sock

    def _cut(self, receive: Any) -> Any:
        async def recvfrom(size: int, left_s: float) -> tuple[bytes, Any]:
            """Receive a datagram; of one that is too long so much that it is broken, and passed over."""
            wire, sender = await receive(size, left_s)
            return wire[: self._limit_bytes], sender

        return recvfrom

    def _refusing(self, receive: Any) -> Any:
        async def recv(size: int, left_s: float) -> Any:
            """Receive up to `size` bytes: first the two of the length, then what they say (RFC 1035 section 4.2.2)."""
            if size > self._limit_bytes:
                raise prober.Failed(f"an answer of {size} bytes, more than {self._limit_bytes}")
            return await receive(size, left_s)

        return recv
