import ipaddress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_svc.clients.address import (
    AddressRefused,
    NotResolved,
    as_literal,
    is_public,
    resolve,
)
from notify_svc.clients.signing import new_secret, sign
from notify_svc.domain.delivery import (
    FINAL_ERRORS,
    RETRY_AFTER,
    Attempted,
    DeliveryStatus,
    Error,
    after_attempt,
    asked_type,
    by_status,
    wants,
)

KNOWN = frozenset({"offer.made", "offer.accepted", "need.settled"})


def test_the_schedule_spans_three_days() -> None:
    total = sum(RETRY_AFTER, timedelta())
    assert timedelta(days=3) < total < timedelta(days=3.5)


@given(st.integers(100, 599), st.integers(1, 12), st.floats(0, 1), st.integers(0, 10**6))
def test_every_status_at_every_attempt(
    status: int, attempts: int, chance: float, retry_after: int
) -> None:
    next_ = after_attempt(by_status(status, retry_after), attempts, lambda: chance)
    if 200 <= status < 300:
        assert next_.status is DeliveryStatus.SUCCEEDED
    elif status == 410:
        assert next_.status is DeliveryStatus.FAILED
        assert next_.disables_endpoint
    elif attempts > len(RETRY_AFTER):
        assert next_.status is DeliveryStatus.FAILED
        assert not next_.disables_endpoint
    else:
        assert next_.status is DeliveryStatus.PENDING
        assert next_.wait is not None
        planned = RETRY_AFTER[attempts - 1]
        assert planned * 0.79 < next_.wait
        if status not in (429, 502, 503, 504):
            assert next_.wait < planned * 1.21
        assert next_.wait <= max(planned * 1.21, timedelta(hours=24))


@pytest.mark.parametrize("error", list(Error))
def test_every_error_has_one_fate(error: Error) -> None:
    next_ = after_attempt(Attempted(error=error), 1, lambda: 0.5)
    final = error in FINAL_ERRORS
    assert next_.status is (DeliveryStatus.FAILED if final else DeliveryStatus.PENDING)
    assert next_.reason == error


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("offer.made", "offer.made"),
        ("handoff.offer.made.v1", "offer.made"),
        ("handoff.offer.made", "offer.made"),
        ("offer.*", "offer.*"),
        ("*", "*"),
        ("offer.gone", None),
        ("gone.*", None),
        ("offer*", None),
        ("", None),
    ],
)
def test_types_asked_for(text: str, short: str | None) -> None:
    assert asked_type(text, KNOWN) == short


def test_types_wanted() -> None:
    assert wants([], "offer.made")
    assert wants(["*"], "offer.made")
    assert wants(["offer.*"], "offer.made")
    assert wants(["need.settled", "offer.made"], "offer.made")
    assert not wants(["need.settled"], "offer.made")
    assert not wants(["offer.*"], "offering.made")


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "255.255.255.255", "224.0.0.1", "192.0.2.1", "198.18.0.1", "240.0.0.1",
        "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1", "2001:db8::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "2002:7f00:1::", "2002:a00:1::",
        "64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b:1:a00:0:100:808:808",
    ],
)  # fmt: skip
def test_addresses_that_no_webhook_may_reach(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::8.8.8.8"]
)
def test_addresses_of_the_public_internet(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "017700000001", "[::1]"])
def test_odd_ways_to_write_loopback(host: str) -> None:
    literal = as_literal(host)
    assert literal is not None
    assert not is_public(literal)


async def test_a_name_is_judged_by_all_its_addresses() -> None:
    with pytest.raises(AddressRefused):
        await resolve("localhost", 443, allow_private=False)
    assert await resolve("localhost", 443, allow_private=True) in ("127.0.0.1", "::1")
    with pytest.raises(NotResolved):
        await resolve("no-such-host.invalid", 443, allow_private=False)


def test_signatures_differ_by_every_part() -> None:
    raw = new_secret("v1").raw
    one = sign("v1", raw, "msg_1", 1, b"{}")
    assert one == sign("v1", raw, "msg_1", 1, b"{}")
    others = {
        sign("v1", raw, "msg_2", 1, b"{}"),
        sign("v1", raw, "msg_1", 2, b"{}"),
        sign("v1", raw, "msg_1", 1, b"[]"),
        sign("v1", new_secret("v1").raw, "msg_1", 1, b"{}"),
    }
    assert one not in others
    assert len(others) == 4
