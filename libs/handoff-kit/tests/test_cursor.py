"""Cursors: what was encoded decodes; everything else is a 422 and never an error of ours."""

import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest
from handoff_kit.cursor import cursor_id, decode_cursor, encode_cursor
from handoff_kit.errors import Invalid
from hypothesis import given
from hypothesis import strategies as st

# Not the calendar's first and last day, which have no UTC everywhere.
aware = st.datetimes(timezones=st.just(timezone(timedelta(hours=-5)))).filter(
    lambda time: 1 < time.year < 9999
)
texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=50)


@given(texts, st.uuids())
def test_texts(key: str, id_: object) -> None:
    assert decode_cursor(encode_cursor(key, str(id_)), str) == (key, str(id_))


@given(st.integers(-(2**63), 2**63 - 1), st.uuids())
def test_numbers(key: int, id_: object) -> None:
    assert decode_cursor(encode_cursor(key, str(id_)), int) == (key, str(id_))


@given(aware, st.uuids())
def test_times(key: datetime, id_: object) -> None:
    assert decode_cursor(encode_cursor(key, str(id_)), datetime) == (key, str(id_))


@given(st.text(max_size=80), st.sampled_from([str, int, datetime]))
def test_any_other_text_is_invalid(text: str, kind: type) -> None:
    with pytest.raises(Invalid) as caught:
        decode_cursor(text, kind)
    assert caught.value.errors[0].code == "invalid-cursor"


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b"[1]",
        b"[1,2,3]",
        b'["a",1]',
        b'[1.5,"id"]',
        b'[true,"id"]',
        b'[99999999999999999999,"id"]',
        b'["2026-01-01T00:00:00","id"]',
        b'["a","i\\u0000d"]',
        b'["a\\u0000","id"]',
        b'[null,"id"]',
        b'["0001-01-01T00:00:00+23:00","id"]',
        b'["9999-12-31T23:59:59-23:00","id"]',
    ],
)
@pytest.mark.parametrize("kind", [str, int, datetime])
def test_a_forged_cursor_is_invalid_or_harmless(raw: bytes, kind: type) -> None:
    text = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    try:
        key, id_ = decode_cursor(text, kind)
    except Invalid:
        return
    assert kind is str
    assert "\x00" not in key + id_


def test_a_cursor_of_another_list_is_invalid() -> None:
    with pytest.raises(Invalid):
        decode_cursor(encode_cursor(datetime.now(UTC), "id"), int)


@pytest.mark.parametrize("text", ["", "x", "00000000-0000-4000-8000-00000000000g"])
def test_an_id_that_is_none_is_no_cursor(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        cursor_id(text)
    assert caught.value.errors[0].code == "invalid-cursor"
