"""Pushed reports, good and bad."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtm import errors, probes
from gtm.probes import push
from tests.probes.probe_servers import make, run

CHECK = make("push")


def test_a_machine_can_say_that_it_has_too_much_to_do() -> None:
    result = push.result(CHECK, {"ok": True, "overloaded": " 97%\n CPU "}, "ns1", 0.0)
    assert (result.ok, result.overloaded) == (True, "97% CPU")
    with pytest.raises(push.PushError):
        push.result(CHECK, {"ok": True, "overloaded": True}, "ns1", 0.0)


def test_a_report_becomes_a_result() -> None:
    payload = {"ok": False, "reason": "disk\nfull", "valid_for_s": 90, "measures": {"load": 0.5, "up": True, "v": "1"}}
    result = push.result(CHECK, payload, "ns1", 12.5)
    assert (result.check, result.vantage, result.at_s) == (CHECK.key, "ns1", 12.5)
    assert (result.ok, result.reason, result.valid_for_s) == (False, "disk full", 90.0)
    assert result.measures == {"load": 0.5, "up": True, "v": "1"}


def test_only_ok_is_needed() -> None:
    result = push.result(CHECK, {"ok": True}, "ns1", 0.0)
    assert (result.ok, result.reason, result.valid_for_s, result.measures) == (True, "", 0.0, {})


def test_a_long_reason_is_cut() -> None:
    assert len(push.result(CHECK, {"ok": True, "reason": "x" * 9999}, "ns1", 0.0).reason) == 500


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (None, "JSON object"),
        ([], "JSON object"),
        ({}, "`ok`"),
        ({"ok": 1}, "`ok`"),
        ({"ok": None}, "`ok`"),
        ({"ok": True, "okay": 1}, "unknown key 'okay'"),
        ({"ok": True, "reason": 5}, "`reason`"),
        ({"ok": True, "valid_for_s": 86401}, "`valid_for_s`"),
        ({"ok": True, "valid_for_s": -1}, "`valid_for_s`"),
        ({"ok": True, "valid_for_s": True}, "`valid_for_s`"),
        ({"ok": True, "valid_for_s": "30"}, "`valid_for_s`"),
        ({"ok": True, "valid_for_s": math.nan}, "`valid_for_s`"),
        ({"ok": True, "valid_for_s": math.inf}, "`valid_for_s`"),
        ({"ok": True, "measures": []}, "`measures`"),
        ({"ok": True, "measures": {str(n): n for n in range(65)}}, "`measures`"),
        ({"ok": True, "measures": {"": 1}}, "measure's name"),
        ({"ok": True, "measures": {"a": None}}, "measure 'a'"),
        ({"ok": True, "measures": {"a": math.nan}}, "measure 'a'"),
        ({"ok": True, "measures": {"a": 10**400}}, "measure 'a'"),
        ({"ok": True, "measures": {"a": "x" * 1001}}, "measure 'a'"),
        ({"ok": True, "measures": {"a": {}}}, "measure 'a'"),
    ],
)
def test_a_bad_report_is_refused_with_what_is_wrong(payload: Any, says: str) -> None:
    with pytest.raises(errors.GtmError, match=says):
        push.result(CHECK, payload, "ns1", 0.0)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(JSON | st.fixed_dictionaries({"ok": JSON}, optional={"reason": JSON, "valid_for_s": JSON, "measures": JSON}))
def test_whatever_is_pushed_is_read_or_refused(payload: Any) -> None:
    try:
        result = push.result(CHECK, payload, "ns1", 0.0)
    except push.PushError:
        return
    assert result.ok in {True, False}
    assert 0 <= result.valid_for_s <= push.MAX_VALID_FOR_S


async def test_a_pushed_check_is_never_run() -> None:
    assert probes.KINDS["push"].kind.passive
    assert (await run(CHECK)).ok is None
