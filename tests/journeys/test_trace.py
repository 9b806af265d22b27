"""One trace leads from the doorway to the partner's answer, as a collector sees it."""

import secrets

from support.collector import Collector, Said
from support.data import a_referral
from support.system import all_in_one, eventually, organization


def test_one_trace_leads_from_the_doorway_to_the_partners_answer(tmp_path, do):
    collector = Collector()
    trace = secrets.token_hex(16)
    sent = {"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01"}
    with all_in_one(
        tmp_path / "home", environment={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    ) as system:
        body = a_referral("food-insecurity")
        made = system.api("inspector").ok(
            "POST", "/intake/v1/referrals", 201, json=body, headers=sent
        )
        coordinator = system.api("coordinator", organization("city-coordination"))
        path = f"/partner/v1/offers?case_id={made['case_id']}"
        (offer, *_) = eventually(lambda: coordinator.ok("GET", path)["items"])
        partner = system.api("partner", offer["organization_id"])

        # Of a restricted kind, in the same referral: no span says when it moved.
        both = a_referral(
            "food-insecurity",
            needs=[
                {"category": kind, "urgency": "urgent"}
                for kind in ("food-insecurity", "mental-health")
            ],
        )
        both["consent"]["covers"] = ["food-insecurity", "mental-health"]
        two = system.api("inspector").ok("POST", "/intake/v1/referrals", 201, json=both)
        hidden = next(n for n in two["needs"] if n["category"] == "mental-health")
        assert hidden["case_id"] != two["case_id"]

        def said(name: str) -> list[Said]:
            return [s for s in collector.spans() if (s.trace_id, s.name) == (trace, name)]

        do(partner, offer["id"], "accept")
        # What the partner answers is said in the same trace.
        eventually(lambda: said("create handoff.offers"), 30, hint="the answer's span")
        (asked,) = eventually(lambda: said("POST /intake/v1/referrals"))
        first = {
            s.span_id for s in said("create handoff.referrals") if s.parent_id == asked.span_id
        }
        assert first

        def handled() -> bool:
            named = [s for s in collector.spans() if s.name == "process handoff.referrals"]
            return first <= {link for span in named for link in span.links}

        # Whatever handled it is linked to it.
        eventually(handled, hint="links to what was created")

        def kinds() -> bool:
            found = {s.name.split(" ")[0] for s in collector.spans()}
            return {"create", "send", "poll", "process", "commit"} <= found

        eventually(kinds)
    # The system has ended, and with it every process has exported what it had.
    assert not [span.name for span in collector.spans() if "restricted" in span.name]
    collector.close()
