"""Pure decisions: secrets, forms, lock-out, limits."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from portal_svc.domain.devices import (
    TRIES_BEFORE_BACKOFF,
    TRIES_OF_STRANGERS,
    counters,
    device_mark,
    known_device,
)
from portal_svc.domain.limits import FailureLimit
from portal_svc.domain.people import (
    FAILURES_FORGOTTEN_AFTER,
    LONGEST_BACKOFF,
    SignInFailure,
    failures_after,
    form_token,
    form_token_fits,
    locked_until,
    new_password,
    new_secret,
    normal_email,
    secret_fits,
    secret_hash,
)

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def failed(times: int, at: datetime = NOW) -> SignInFailure:
    return SignInFailure("test-city", b"hash", times, at)


def test_secrets_are_long_and_known_by_their_hash_alone() -> None:
    one, other = new_secret(), new_secret()
    assert one != other
    assert len(one) >= 43  # 256 bits in base64
    assert secret_fits(one, secret_hash(one))
    assert not secret_fits(other, secret_hash(one))
    assert not secret_fits(one, None)
    assert len(set(new_password())) > 5


def test_a_forms_token_belongs_to_its_cookie() -> None:
    assert form_token_fits("cookie", form_token("cookie"))
    assert not form_token_fits("other", form_token("cookie"))
    assert not form_token_fits(None, form_token("cookie"))
    assert not form_token_fits("cookie", "")
    assert not form_token_fits("cookie", "\u00e9\ufffd")


@pytest.mark.parametrize(
    ("given_", "stored"),
    [
        (" One@Example.ORG ", "one@example.org"),
        ("one", None),
        ("one@", None),
        ("a b@example.org", None),
        ("one@two@example.org", None),
        ("", None),
        ("x" * 65 + "@example.org", None),
        ("on\u200be@example.org", None),
        ("one\u202e@example.org", None),
        ("one\x01@example.org", None),
    ],
)
def test_addresses(given_: str, stored: str | None) -> None:
    assert normal_email(given_) == stored


def test_five_tries_are_free_then_the_wait_doubles_to_a_quarter_of_an_hour() -> None:
    assert locked_until(None) is None
    assert [locked_until(failed(n)) for n in range(1, 5)] == [None] * 4
    waits = [locked_until(failed(n)) - NOW for n in range(5, 30)]
    assert waits[:3] == [timedelta(seconds=s) for s in (30, 60, 120)]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_BACKOFF


def test_more_tries_are_free_where_many_are_counted_together() -> None:
    assert locked_until(failed(TRIES_OF_STRANGERS - 1), TRIES_OF_STRANGERS) is None
    assert locked_until(failed(TRIES_OF_STRANGERS), TRIES_OF_STRANGERS) > NOW


def test_a_mark_is_of_one_browser_and_one_person() -> None:
    mark, another = device_mark(b"key", b"one"), device_mark(b"key", b"one")
    nonces = {known_device(b"key", b"one", given_) for given_ in (mark, another)}
    assert len(nonces - {None}) == 2
    for key, email_hash, given_ in (
        (b"key", b"two", mark),
        (b"other", b"one", mark),
        (b"key", b"one", f"x{mark}"),
        (b"key", b"one", mark[:-1]),
        (b"key", b"one", "\u00e9.\ufffd"),
        (b"key", b"one", ""),
        (b"key", b"one", None),
    ):
        assert known_device(key, email_hash, given_) is None


def test_a_known_browser_shares_no_counter_with_strangers() -> None:
    here, there = counters(b"one", "192.0.2.1", None), counters(b"one", "192.0.2.2", None)
    (known,) = counters(b"one", "192.0.2.1", "device")
    assert [c.free for c in here] == [TRIES_BEFORE_BACKOFF, TRIES_OF_STRANGERS]
    assert {c.key for c in here} & {c.key for c in there} == {here[1].key}
    assert known.free == TRIES_BEFORE_BACKOFF
    assert known.key not in {c.key for c in (*here, *there)}


@given(st.integers(1, 1000), st.integers(0, 100_000))
def test_failures_add_up_within_a_day(times: int, seconds: int) -> None:
    later = NOW + timedelta(seconds=seconds)
    forgotten = later - NOW > FAILURES_FORGOTTEN_AFTER
    assert failures_after(failed(times), later) == (1 if forgotten else times + 1)
    assert failures_after(None, later) == 1


def test_a_limit_counts_failures_of_one_key_in_one_window() -> None:
    limit = FailureLimit(3, 60)
    for second in range(3):
        assert limit.wait("a", second) == 0
        limit.failed("a", second)
    assert limit.wait("a", 10) == 50
    assert limit.wait("b", 10) == 0
    assert limit.wait("a", 60) == 0
    limit.failed("a", 61)
    assert limit.wait("a", 62) == 0


def test_a_limit_forgets_the_oldest_keys() -> None:
    limit = FailureLimit(1, 60)
    for n in range(10_001):
        limit.failed(n, 0)
    assert limit.wait(0, 1) == 0
    assert limit.wait(10_000, 1) > 0
