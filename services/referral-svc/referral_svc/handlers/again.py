"""Needs that wait for a candidate are tried again when the directory has changed. Set-wise.

A round goes through them page by page, each page in a transaction of its own, and touches the
cases alone whose kind of need a change could help. Nothing is written of a need for which there is
still nobody: it stays in a person's queue as it was.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from event_schemas.codes import NeedStatus, TargetKind
from handoff_kit.tx import Tx

from referral_svc import tables
from referral_svc.domain import course
from referral_svc.domain.records import WAITS_FOR_CANDIDATE, Need, Offer
from referral_svc.domain.routing import Policy
from referral_svc.handlers import placing
from referral_svc.handlers.work import Work, open_set
from referral_svc.handlers.world import World

PAGE = 200  # needs looked at in one transaction
PAUSE = timedelta(seconds=10)  # between the beginnings of two rounds


async def try_again(world: World, tx: Tx, *, page: int = PAGE) -> int:
    """Look at one page of waiting needs; how many that were."""
    round_ = await tables.next_round(tx.conn, tx.now, PAUSE)
    if round_ is None:
        return 0
    agency = round_.agency_id
    touched = await tables.touched_since(tx.conn, agency, round_.done)
    rows = await tables.waiting_needs(tx.conn, round_, page)
    hopeful = [row for row in rows if _may_help(touched, row, world.policy)]
    if hopeful:
        await _try(world, tx, agency, hopeful)
    if len(rows) == page:
        round_.after_at, round_.after_id = rows[-1].requested_at, rows[-1].id
    else:
        round_.done, round_.after_at, round_.after_id = round_.target, None, None
    await tables.save_round(tx.conn, round_)
    return len(rows)


def _may_help(touched: tables.Touched, row: Any, policy: Policy) -> bool:
    """Whether what changed is something that this need's match looks at."""
    rule = policy.rule(row.route) or policy.rules[-1]
    if touched.organizations and {rule.target, rule.otherwise} - {TargetKind.PARTNER, None}:
        return True
    return not touched.needs.isdisjoint(rule.serves or (row.category,))


async def _try(world: World, tx: Tx, agency: str, rows: Iterable[Any]) -> None:
    waiting = {row.id: row for row in rows}
    work = await open_set(world, tx, {(agency, row.case_id) for row in waiting.values()})
    room = await _Room.of(work, agency)
    for id_, row in waiting.items():
        bundle = work.find(agency, row.case_id)
        need = bundle.needs.get(id_) if bundle is not None else None
        if bundle is None or need is None or need.attention not in WAITS_FOR_CANDIDATE:
            continue
        offers = bundle.offers_of(need)
        parent = course.manager_in_hand(offers)
        if _free(need, offers, parent):
            made = placing.place_if_possible(work, bundle, need, parent, room.full)
            room.took(made)
    await work.save()


def _free(need: Need, offers: Iterable[Offer], parent: Offer | None) -> bool:
    """Whether the need looks for somebody: nobody but the case manager above has it."""
    looks = NeedStatus.MATCHING if parent is None else NeedStatus.IN_SERVICE
    return need.status == looks and not any(
        course.stands(offer) for offer in offers if offer is not parent
    )


@dataclass(slots=True)
class _Room:
    """What is left of the places that services named, so that not all who wait go to one place."""

    left: dict[UUID, int]
    full: set[UUID]

    @classmethod
    async def of(cls, work: Work, agency: str) -> "_Room":
        places: dict[UUID, int] = {}
        said: list[tuple[UUID, UUID, datetime]] = []
        for service in work.world.directory(agency).services.values():
            if service.capacity_available is not None and service.capacity_said_at is not None:
                places[service.id] = service.capacity_available
                said.append((service.id, service.organization_id, service.capacity_said_at))
        asked = await tables.asked_since_said(work.tx.conn, agency, said)
        left = {id_: number - asked.get(id_, 0) for id_, number in places.items()}
        return cls(left, {id_ for id_, number in left.items() if number <= 0})

    def took(self, made: Offer | None) -> None:
        if made is None or made.service_id is None or made.service_id not in self.left:
            return
        self.left[made.service_id] -= 1
        if self.left[made.service_id] <= 0:
            self.full.add(made.service_id)
