"""B2 accept: durable ``POST /intake/v1/referrals`` and ``…/inspections`` at 32 keep-alive
connections; requests a second, p50 and p99.

Ours: intake's api in a process of its own, with a real access token, a real PostgreSQL with fsync
on, new residents, homes and inspections each time; answered after the commit. Peer: a bare FastAPI
endpoint that validates the same body and inserts one row with SQLModel, no token. What bounds it:
a FastAPI endpoint that does nothing, not even look at the body; one that validates the body and
does nothing else is shown beside it. All with the same uvicorn settings and uvloop; the load comes
from a process of its own (`bench.accept.load`), whose ceiling against fixed bytes is shown too.
"""

from handoff_cli.demo_city.ids import AGENCY, organization_id
from handoff_kit.auth import Signer
from intake_svc.app import SERVICE

from bench.accept.bodies import inspection, referral
from bench.figures import Result
from bench.stand import Stand, free_port, wait_for_port

BARE = "bare FastAPI + SQLModel, one row"
NOTHING = "a FastAPI endpoint that does nothing"


def measure(stand: Stand) -> list[Result]:
    """One result a kind of request."""
    seconds = 1.5 if stand.quick else 4.0
    stand.migrated("b2_ours", [SERVICE])
    stand.clone("template0", "b2_peer")
    ours, others, ceiling = free_port(), free_port(), free_port()
    environment = stand.environment("b2_ours", HANDOFF_PORT=str(ours))
    started = [
        stand.spawn("-m", "intake_svc", "api", environment=environment),
        stand.spawn("-m", "bench.accept.servers", str(others), stand.admin_url("b2_peer")),
        stand.spawn("-m", "bench.accept.servers", str(ceiling), "ceiling"),
    ]
    for port in (ours, others, ceiling):
        wait_for_port(port)
    signer = Signer(stand.folder / "signing_keys.json", f"http://127.0.0.1:{ours}")
    results = []
    for kind, role, body in (
        ("referrals", "inspector", referral()),
        ("inspections", "department", inspection()),
    ):
        token = signer.issue(
            subject=f"bench-{role}",
            agency=AGENCY,
            organization=str(organization_id("inspectional-services")),
            roles=[role],
            lifetime=7200,
        )
        result = Result("B2", f"{kind} accepted", "requests/s", [], limit_is=NOTHING)
        results.append(result)
        given = {"body": body, "token": token, "seconds": seconds}
        contest = (
            (result.ours, "ours", ours, f"/intake/v1/{kind}"),
            (result.peers.setdefault(BARE, []), "bare", others, f"/bare/{kind}"),
            (_other(result, "parses and does nothing, requests/s"), "", others, f"/parses/{kind}"),
            (result.limit, "", others, "/nothing"),
            (_other(result, "ceiling of the load generator, requests/s"), "", ceiling, "/"),
        )
        first = 0
        for number in range(stand.rounds):
            stand.say(f"B2 {kind}: round {number + 1} of {stand.rounds}")
            for rates, name, port, path in contest:
                found = stand.measure(
                    "bench.accept.load:drive", port=port, path=path, first=first, **given
                )
                first = found["last"]
                rates.append(found["rate"])
                if name:
                    _other(result, f"p50 {name}, ms").append(found["p50"])
                    _other(result, f"p99 {name}, ms").append(found["p99"])
        result.times(3)
        result.share(0.5)
    for child in started:
        stand.end(child)
    return results


def _other(result: Result, name: str) -> list[float]:
    return result.others.setdefault(name, [])
