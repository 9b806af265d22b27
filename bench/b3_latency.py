"""B3 doorway to partner: from the moment at which an inspector's referral is sent until its offer
is visible to the partner's API, and until the partner has the signed webhook; p50 and p99 at 1, 50
and 200 referrals a second.

Ours: the demo city on a running system, on the embedded log as ``handoff up`` starts it and on
Apache Kafka with an api and a worker process for each of the five services. The load is open
(`bench.latency.load`, which also says how "visible" is seen and how precisely). Peer: the same
system with every outbox polled each half second (`bench.latency.polled`). What bounds it: its
commits and its round trips to the log, bare (`bench.latency.limit`), one referral at a time.

Both run on the same home in turns, so they have the same rows and the same log behind them. The
steps of a referral are shown beside, from the times that the services wrote themselves, and what
CPU time it took of each process. The quick look leaves Kafka out.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from handoff_kit import kafka_cluster
from handoff_kit.kafka_cluster import KafkaCluster

from bench.bytecode import kept
from bench.figures import Goal, Result
from bench.latency.city import City
from bench.latency.load import PATIENCE
from bench.stand import Stand

PEER = "outboxes polled every 500 ms"
LIMIT = "its commits and log round trips, bare"
POINTS = {"visible": "offer visible", "hooked": "webhook received"}
RATES = {1: 15.0, 50: 10.0, 200: 8.0}
"""Referrals a second, and for how many seconds."""
QUICK_RATES = {50: 3.0}
_WARM = (20.0, 3.0)
"""After a start: code paths, plans and connections are made by the first referrals."""

STEPS_TO = {
    "visible": ("sent → intake", "intake → answered", "intake → referral", "referral → visible"),
    "hooked": ("referral → notify", "notify → hooked"),
}
Results = dict[tuple[str, int], Result]


def measure(stand: Stand) -> list[Result]:
    """A result for each log, rate and point."""
    with kept(stand):  # For the starts alone; nothing is loaded while it is measured.
        return _measure(stand)


def _measure(stand: Stand) -> list[Result]:
    found = _on(stand, City(stand, "embedded", stand.folder / "b3-embedded"))
    if stand.quick:
        return found  # Ten processes on two cores take a minute to start and to end.
    with _broker(stand) as bootstrap:
        if bootstrap is not None:
            city = City(stand, "kafka", stand.folder / "b3-kafka-home", bootstrap)
            found += _on(stand, city)
    return found


@contextmanager
def _broker(stand: Stand) -> Iterator[str | None]:
    """A broker of its own: other benches' events would be news to this city."""
    reason = kafka_cluster.missing()
    if reason is not None:
        stand.say(f"B3 without Kafka: {reason}")
        yield None
        return
    cluster = KafkaCluster(stand.folder / "b3-kafka", say=stand.say)
    cluster.start()
    try:
        yield cluster.bootstrap_servers
    finally:
        cluster.stop()


def _on(stand: Stand, city: City) -> list[Result]:
    rates = QUICK_RATES if stand.quick else RATES
    results: Results = {
        (point, rate): Result(
            "B3",
            f"{said} at {rate}/s, p50",
            "ms",
            [],
            log=city.log,
            limit_is=LIMIT,
            higher=False,
        )
        for rate in rates
        for point, said in POINTS.items()
    }
    for number in range(1 if stand.quick else stand.rounds):
        stand.say(f"B3 {city.log}: round {number + 1}")
        _limit(stand, city, results)
        for polled in (False, True):
            with city.running(polled=polled) as system:
                city.drive(system, *_WARM, seed=number)
                for rate, seconds in rates.items():
                    once = city.drive(system, rate, seconds, seed=1000 * number + rate)
                    stand.say(f"  {'polled' if polled else 'ours'} {rate}/s: {_brief(once)}")
                    for point in POINTS:
                        _note(results[point, rate], point, once, polled=polled)
    for (point, rate), result in results.items():
        _goals(result, point, rate)
    return list(results.values())


def _limit(stand: Stand, city: City, results: Results) -> None:
    stand.clone("template0", "b3_limit")
    found = stand.measure(
        "bench.latency.limit:bare",
        url=stand.admin_url("b3_limit"),
        number=50 if stand.quick else 200,
        bootstrap=city.bootstrap,
    )
    for (point, _), result in results.items():
        result.limit.append(found[point]["p50"])
        _other(result, "p99 limit, ms").append(found[point]["p99"])


def _note(result: Result, point: str, found: dict[str, Any], *, polled: bool) -> None:
    times = found[point]
    if polled:
        result.peers.setdefault(PEER, []).append(times["p50"])
        _other(result, "p99 peer, ms").append(times["p99"])
    else:
        result.ours.append(times["p50"])
        _other(result, "p99 ours, ms").append(times["p99"])
        for step in STEPS_TO[point]:
            if step in found["steps"]:
                _other(result, f"step {step}, p50 ms").append(found["steps"][step])
        if point == "visible":
            _details(result, found)
    whose = "peer" if polled else "ours"
    if found[f"missing_{point}"]:
        share = 100 * found[f"missing_{point}"] / found["number"]
        _other(result, f"{whose}: not there {PATIENCE:.0f} s after the last, %").append(share)


def _details(result: Result, found: dict[str, Any]) -> None:
    for part, took in found["spent"].items():
        _other(result, f"CPU of {part} a referral, ms").append(took)
    _other(result, "GET of the offer, p50 ms").append(found["get"])
    _other(result, "load generator, share of a core").append(found["cpu"])


def _goals(result: Result, point: str, rate: int) -> None:
    p99 = _other(result, "p99 ours, ms")
    if rate == 50:
        result.at_most(result.ours, 15, "p50 <= 15 ms")
        result.at_most(p99, 50, "p99 <= 50 ms")
    if rate == 200:
        result.at_most(p99, 100, "p99 <= 100 ms")
    if point == "visible":
        result.times(20)
    else:
        # A polled outbox brings webhooks in bursts, and how fast the sender empties a burst for one
        # endpoint is not the outbox's doing: the ratio is shown, and claims nothing.
        result.goals.append(Goal(">= 20 x peers", None))


def _brief(found: dict[str, Any]) -> str:
    said = (
        f"{name} {found[name]['p50']:.1f} / {found[name]['p99']:.1f}"
        for name in ("answered", "visible", "hooked")
    )
    return f"{', '.join(said)} ms; {found['number']} referrals, {found['checked']} checked"


def _other(result: Result, name: str) -> list[float]:
    return result.others.setdefault(name, [])
