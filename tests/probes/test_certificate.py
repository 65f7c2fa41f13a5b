"""The reader of certificates, against ones made by somebody else's library."""

from __future__ import annotations

import datetime
import ssl

import pytest
import trustme
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gtm.probes import certificate

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def der(*names: str, common_name: str | None = None, after: datetime.datetime | None = None) -> bytes:
    issued = trustme.CA().issue_cert(
        *names, common_name=common_name, not_before=START, not_after=after or START + datetime.timedelta(days=90)
    )
    return ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())


SAMPLE = der("play.example")


def test_dates_and_names_are_read() -> None:
    found = certificate.read(der("play.example", "*.live.example", "192.0.2.1", "2001:db8::1"))
    assert found.names == ("play.example", "*.live.example", "192.0.2.1", "2001:db8::1")
    assert found.not_before == START.timestamp()
    assert found.days_left(START.timestamp()) == 90
    assert found.days_left(START.timestamp() + 100 * 86400) == -10


def test_a_date_past_2050_is_read_from_its_longer_form() -> None:
    end = datetime.datetime(2060, 1, 1, tzinfo=datetime.UTC)
    assert certificate.read(der("play.example", after=end)).not_after == end.timestamp()


def test_the_common_name_stands_in_where_there_is_no_other() -> None:
    assert certificate.read(der(common_name="old.example")).names == ("old.example",)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(SAMPLE)), st.binary(max_size=8), st.integers(0, 8))
@example(0, b"", 0)
def test_bytes_that_are_no_certificate_are_refused_or_read(at: int, noise: bytes, cut: int) -> None:
    try:
        found = certificate.read(SAMPLE[:at] + noise + SAMPLE[at + cut :])
    except ValueError:
        return
    assert isinstance(found, certificate.Certificate)


@pytest.mark.parametrize("raw", [b"", b"0", b"\x30\x80", b"\x30\x84\xff\xff\xff\xff", b"<html>"])
def test_what_is_not_a_certificate_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="certificate"):
        certificate.read(raw)
