"""Referrals sent until they are answered, each under one Idempotency-Key."""

import time
from typing import Any
from uuid import uuid4

import httpx

from support.data import a_referral
from support.system import Api, System

# In flight elsewhere; the proxy finds no service; the service finds no database, or is full.
AGAIN = frozenset({409, 502, 503})


def send(api: Api, key: str, body: dict[str, Any], seconds: float = 20) -> tuple[Any, int]:
    """The 201 body of a referral and how many tries it took, all under the same key.

    Raises: AssertionError at an answer that tells to give up, or when there is none in *seconds*.
    """
    deadline = time.monotonic() + seconds
    tries, last = 0, ""
    while time.monotonic() < deadline:
        tries += 1
        try:
            answer = api.request(
                "POST", "/intake/v1/referrals", json=body, headers={"idempotency-key": key}
            )
        except httpx.HTTPError as error:
            last = repr(error)
            time.sleep(0.1)
            continue
        if answer.status_code == 201:
            return answer.json(), tries
        last = f"{answer.status_code}: {answer.text}"
        assert answer.status_code in AGAIN, last
        time.sleep(0.05)
    raise AssertionError(f"not answered in {seconds} s; last {last}")


def send_one(system: System, acknowledged: dict[str, Any]) -> int:
    """A new referral, noted in *acknowledged* (Idempotency-Key → 201 body); the tries it took."""
    key = str(uuid4())
    acknowledged[key], tries = send(system.api("inspector"), key, a_referral())
    return tries
