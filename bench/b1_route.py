"""B1 route: needs on the log, until their offers are committed and published; events a second.

Ours: referral's own service with the worker's consumer and relay, on the embedded log and on
Apache Kafka (one broker). Peers: FastStream 0.7.8 with SQLModel, and a plain aiokafka loop with
SQLModel, one transaction a message, the same decisions, rows and events (`bench.route.peers`).
They have no embedded log, so ours on that log is compared with what they do on Kafka in the same
run. What bounds it: the rows that ours wrote, written by bare asyncpg ``unnest`` from prebuilt
columns in the same sets over as many connections, and moved or published, without any logic
(`bench.route.limit`). Reading the log, decoding, deciding and the gate are what ours does besides.

Every contestant runs in a process of its own on a fresh copy of one database: the demo city's
policy and 40 services, needs of distinct cases in a realistic mix (`bench.route.needs`).
"""

from typing import Any

from referral_svc.app import SERVICE

from bench.figures import Result
from bench.stand import Stand

PEERS = {"FastStream + SQLModel": "faststream", "aiokafka loop + SQLModel": "aiokafka"}
LIMIT = "bare asyncpg unnest of the same rows, no logic"


def measure(stand: Stand) -> list[Result]:
    """On the embedded log and, where Java is, on Kafka."""
    embedded, kafka, peers = (3000, 2000, 200) if stand.quick else (20_000, 10_000, 1000)
    bootstrap = stand.kafka()
    stand.migrated("b1_empty", [SERVICE])
    stand.clone("b1_empty", "b1_small")
    _prepare(stand, "b1_small", 1)
    stand.clone("b1_empty", "b1_full")
    _prepare(stand, "b1_full", embedded)
    results = [
        Result("B1", "needs routed", "events/s", [], log="embedded", limit_is=LIMIT),
        Result("B1", "needs routed", "events/s", [], log="kafka", limit_is=LIMIT),
    ]
    for number in range(stand.rounds):
        stand.say(f"B1 round {number + 1} of {stand.rounds}")
        _ours(stand, results[0], embedded, "b1_full")
        results[0].limit.append(embedded / _limit(stand)["seconds"])
        if bootstrap is None:
            continue
        for name, function in PEERS.items():
            stand.clone("b1_small", "b1_peer")
            found = stand.measure(
                f"bench.route.peers:{function}",
                url=stand.app_url("b1_peer"),
                number=peers,
                bootstrap=bootstrap,
            )
            for result in results:
                result.peers.setdefault(name, []).append(peers / found["seconds"])
        if number == 0:
            # Rows for the limit on Kafka are those of as many needs on the embedded log.
            _capture(stand, kafka)
        _ours(stand, results[1], kafka, "b1_small", bootstrap)
        found = _limit(stand, bootstrap, source="b1_captured")
        results[1].limit.append(kafka / found["seconds"])
    results[0].notes.append("peers: their figures on Kafka, since they have no embedded log")
    for result in results:
        result.times(40)
        result.share(0.5)
    return results if bootstrap is not None else results[:1]


def _prepare(stand: Stand, name: str, number: int) -> None:
    stand.measure(
        "bench.route.ours:prepare",
        url=stand.app_url(name),
        admin_url=stand.admin_url(name),
        number=number,
    )


def _ours(
    stand: Stand, result: Result, number: int, template: str, bootstrap: str | None = None
) -> dict[str, Any]:
    stand.clone(template, "b1_ours")
    url = stand.app_url("b1_ours")
    if bootstrap is not None:
        stand.measure("bench.route.ours:publish", bootstrap=bootstrap, url=url, number=number)
    found = stand.measure("bench.route.ours:route", url=url, number=number, bootstrap=bootstrap)
    assert found["parked"] == 0
    result.ours.append(number / found["seconds"])
    result.others.setdefault("Python µs an event", []).append(found["python_cpu"] / number * 1e6)
    return found


def _capture(stand: Stand, number: int) -> None:
    stand.clone("b1_empty", "b1_captured")
    _prepare(stand, "b1_captured", number)
    stand.measure("bench.route.ours:route", url=stand.app_url("b1_captured"), number=number)


def _limit(stand: Stand, bootstrap: str | None = None, source: str = "b1_ours") -> dict[str, Any]:
    stand.clone("b1_empty", "b1_limit")
    return stand.measure(
        "bench.route.limit:write",
        url=stand.app_url("b1_limit"),
        source=stand.admin_url(source),
        bootstrap=bootstrap,
    )
