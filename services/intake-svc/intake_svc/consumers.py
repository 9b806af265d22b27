"""What intake reads from the log: the table of contents.

| group | events | function |
|---|---|---|
| ``intake-inbound`` | ``inspection.reported`` | ``Inbound.apply`` → ``handlers.inspections`` |
| ``intake`` | ``case.closed``, ``case.reopened``, ``case.assigned`` | ``handlers.cases.apply`` |
| ``intake`` | ``need.settled`` | ``handlers.cases.apply`` |
"""

from collections.abc import Sequence

from event_schemas.cases import CaseAssigned, CaseClosed, CaseReopened
from event_schemas.inbound import InspectionReported
from event_schemas.referrals import NeedSettled
from handoff_kit.consumer import Group, Received
from handoff_kit.tx import Tx

from intake_svc.domain.inspections import as_code
from intake_svc.handlers import cases
from intake_svc.handlers.city import Office
from intake_svc.handlers.findings import INBOUND, Report, refused
from intake_svc.handlers.inspections import Reports


class Inbound:
    """A department's own records, taken as if they had been posted."""

    def __init__(self, office: Office) -> None:
        self._reports = Reports(office)

    async def apply(self, tx: Tx, events: Sequence[Received]) -> None:
        """Raises: Invalid for a set with a report that the API would refuse; it is parked alone."""
        for event in events:
            if refusal := refused(event.data, tx.now):
                raise refusal
        await self._reports.apply(
            tx,
            [
                Report(
                    event.agency,
                    f"source:{as_code(event.data.source) or 'unknown'}",
                    None,
                    event.data,
                    event.cause,
                )
                for event in events
            ],
        )


def groups(office: Office) -> list[Group]:
    return [
        Group(INBOUND, frozenset({InspectionReported}), Inbound(office).apply, batch=300),
        Group(
            "intake",
            frozenset({CaseClosed, CaseReopened, CaseAssigned, NeedSettled}),
            cases.apply,
        ),
    ]
