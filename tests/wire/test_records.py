"""Records' text is read as dnspython reads it, by dnslib where dnslib knows the type."""

from __future__ import annotations

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.zone
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtm import errors, names
from gtm.wire import lexer, records

READER = records.Reader()

SAMPLES = [
    ("A", "192.0.2.1"),
    ("AAAA", "2001:db8::1"),
    ("NS", "ns1"),
    ("CNAME", "a\\.b.example.net."),
    ("PTR", "@"),
    ("RP", "admin.example.net. txt"),
    ("MX", "10 mx.example.net."),
    ("SRV", "0 5 443 Node.Example.Net."),
    ("SOA", "ns1 ops 2026112301 4h 1H 2w 10"),
    ("CAA", '0 issue "ca.example; policy=ev"'),
    ("NAPTR", '100 10 "S" "SIP+D2U" "!^.*$!sip:x@example.net!" _sip._udp'),
    ("DS", "60485 5 1 2BB183AF5F22588179A53B0A 98631FAD1A292118"),
    ("SSHFP", "4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789"),
    ("TLSA", "3 1 1 0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF 0123456789ABCDEF"),
    ("TXT", '"one string" two "es\\"caped\\; \\065"'),
    ("SVCB", '1 . alpn="h2,h3" port=8443'),
    ("HTTPS", "1 svc.example.net. ipv4hint=192.0.2.1,192.0.2.2"),
    ("LOC", "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m"),
    ("URI", '10 1 "https://example.net/"'),
    ("DNSKEY", "256 3 13 oJMRESz5E4gYzS/q6XDrvU1qMPYIjCWzJaOau8XNEZeqCYKD5ar0IRd8 KqXXFJkqmVfRvMGPmM1x8fGAa2XhSA=="),
    ("TYPE65280", "\\# 3 010203"),
    ("A", "\\# 4 c0000201"),
]


@pytest.mark.parametrize(("rtype", "text"), SAMPLES, ids=[rtype for rtype, _ in SAMPLES])
def test_rdata_is_what_dnspython_makes_of_the_same_text(rtype: str, text: str) -> None:
    read = READER.record("www.Live.example.", rtype, 60, text, "live.example.")
    plain = text.replace(" 4h 1H 2w ", " 14400 3600 1209600 ")
    witness = dns.rdata.from_text(
        dns.rdataclass.IN, dns.rdatatype.from_text(rtype), plain, dns.name.from_text("live.example."), relativize=False
    )
    assert read.rdata == witness.to_wire()
    assert read.owner == b"\x03www\x04live\x07example\x00"
    assert (read.type, read.ttl_s) == (int(witness.rdtype), 60)


def test_names_of_one_record_are_not_compressed_against_each_other() -> None:
    read = READER.record("x.", "SOA", 60, "ns.a.example. ops.a.example. 1 2 3 4 5", ".")
    assert read.rdata.count(b"\x07example\x00") == 2


def test_a_txt_without_quotes_is_one_string_so_that_spf_survives_yaml() -> None:
    read = READER.record("x.", "TXT", 60, "v=spf1 include:_spf.example.net -all", ".")
    assert read.rdata == b"\x24v=spf1 include:_spf.example.net -all"


def test_a_long_txt_without_quotes_is_split_at_255_bytes() -> None:
    read = READER.record("x.", "TXT", 60, "k" * 300, ".")
    assert read.rdata == b"\xff" + b"k" * 255 + b"\x2d" + b"k" * 45


@pytest.mark.parametrize(
    ("rtype", "text"),
    [
        ("A", "192.0.2"),
        ("A", "192.0.2.256"),
        ("A", "192.0.2.1 192.0.2.2"),
        ("A", ""),
        ("AAAA", "192.0.2.1"),
        ("AAAA", "2001:db8::1%eth0"),
        ("MX", "mx.example."),
        ("MX", "65536 mx.example."),
        ("SRV", "1 2 -3 host."),
        ("CNAME", "a..b."),
        ("CNAME", "x" * 64 + "."),
        ("TXT", '"not closed'),
        ("TXT", '"' + "x" * 256 + '"'),
        ("TXT", '"\\256"'),
        ("CAA", "256 issue ca."),
        ("CAA", '0 iss-ue "ca.example"'),
        ("DS", "1 2 3 xyz"),
        ("DS", "1 13 2 aabb"),
        ("SVCB", "one ."),
        ("DNAME", "example.net."),
        ("OPT", "x"),
        ("AXFR", "x"),
        ("ANY", "x"),
        ("TYPE128", "\\# 0"),
        ("NONSENSE", "x"),
        ("TYPE70000", "\\# 0"),
        ("TYPE65280", "\\# 2 01"),
        ("TYPE65280", "something"),
    ],
)
def test_bad_rdata_and_types_that_cannot_be_served_are_record_errors(rtype: str, text: str) -> None:
    with pytest.raises(errors.RecordError):
        READER.record("www.live.example.", rtype, 60, text, "live.example.")


def test_a_bad_owner_and_a_bad_ttl_are_record_errors() -> None:
    with pytest.raises(errors.RecordError):
        READER.record("a..b.", "A", 60, "192.0.2.1", ".")
    with pytest.raises(errors.RecordError):
        READER.record("a.", "A", -1, "192.0.2.1", ".")
    with pytest.raises(errors.RecordError):
        READER.record("a.", "A", 2**31, "192.0.2.1", ".")


ZONE = """
$TTL 1h            ; a comment with ( and "
@   IN SOA ns1 hostmaster (
        2026112301 ; serial
        4h 1h
        2w 10 )
        NS   ns1
        NS   ns.example.net.
ns1     300 IN A 192.0.2.53
        IN 300 AAAA 2001:db8::53
www     CNAME @
txt     TXT "a ; b" ( "c"
              d )
*.wild  60 A 192.0.2.7
a\\.dot  A 192.0.2.8
$ORIGIN deep
x       A 192.0.2.9
$ORIGIN live.example.
$TTL 30
y       A 192.0.2.10
"""


def test_a_zone_file_is_read_as_dnspython_reads_it() -> None:
    read = READER.zone_file(ZONE, "live.example.", 300)
    mine = {(record.owner, record.type, record.ttl_s, record.rdata) for record in read}
    witness = dns.zone.from_text(ZONE, "live.example.", relativize=False)
    theirs = {
        (name.to_wire() or b"", int(rdata.rdtype), ttl, rdata.to_wire() or b"")
        for name, ttl, rdata in witness.iterate_rdatas()
    }
    assert mine == theirs
    assert len(read) == len(mine)


def test_the_default_ttl_holds_until_the_file_says_one() -> None:
    text = "a A 192.0.2.1\n$TTL 7\nb A 192.0.2.2\nc 9 A 192.0.2.3\nd A 192.0.2.4\n"
    assert [record.ttl_s for record in READER.zone_file(text, "z.", 300)] == [300, 7, 9, 7]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a A 192.0.2.1\nb A 192.0.2\n", 2),
        ("\n\n; nothing\n  A 192.0.2.1\n", 4),
        ("a A 192.0.2.1\n$INCLUDE /etc/passwd\n", 2),
        ("$GENERATE 1-1000000000 h$ A 10.0.0.1\n", 1),
        ("$FOO bar\n", 1),
        ("$TTL soon\n", 1),
        ("www.elsewhere. A 192.0.2.1\n", 1),
        ("a CH TXT x\n", 1),
        ("a 300 IN\n", 1),
        ("a TXT ( x\n y\n", 1),
        ("a TXT )\n", 1),
        ('a A 192.0.2.1\nb TXT "x\n', 2),
        ("a A 192.0.2.1\nb TXT x\\\n", 2),
    ],
)
def test_a_bad_zone_file_names_the_line(text: str, line: int) -> None:
    with pytest.raises(errors.RecordError) as caught:
        READER.zone_file(text, "live.example.", 300)
    assert caught.value.line == line


@pytest.mark.parametrize("life", ["1" * 5000, "1" * 50 + "x", "1h" * 40, "99999999999", "h", "1y", "٣"])
def test_a_hostile_ttl_is_refused_at_once(life: str) -> None:
    with pytest.raises(errors.RecordError):
        READER.zone_file(f"$TTL {life}\n", "live.example.", 300)
    with pytest.raises(errors.RecordError):
        READER.record("a.", "MX", 1, f"{life} mx.", ".")


def test_times_may_be_written_with_units() -> None:
    assert [records.ttl_s(word) for word in ("0", "90", "1h30m", "2D", "1w")] == [0, 90, 5400, 172800, 604800]


@given(st.text(alphabet=st.sampled_from('a"\\ ();\n\t@$.*1é'), max_size=60))
def test_any_text_is_a_zone_or_a_record_error(text: str) -> None:
    try:
        read = READER.zone_file(text, "live.example.", 300)
    except errors.RecordError as error:
        read, line = (), error.line
    else:
        line = 1
    assert 1 <= line <= text.count("\n") + 1
    assert all(names.within(record.owner, names.key("live.example.")) for record in read)


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=4))
def test_every_string_survives_being_written_and_read(strings: list[bytes]) -> None:
    written = " ".join('"' + "".join(f"\\{byte:03d}" for byte in one) + '"' for one in strings)
    assert [one for word in lexer.words(written) for one in lexer.strings(word)] == strings
    assert READER.record("x.", "TXT", 1, written, ".").rdata == b"".join(bytes((len(one),)) + one for one in strings)
