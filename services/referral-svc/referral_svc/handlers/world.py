"""What a process knows between sets: the policy in force, the directory, whose turn it is, and
the matches that it has judged.

None of it is the truth: the directory follows the tables by stamp at the start of each set, turns
are hints of fairness, and a match is judged anew when anything it looked at has changed.
"""

import asyncio
import time
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from event_schemas.codes import OrganizationKind, TargetKind
from handoff_kit import sets
from handoff_kit.db import Connection

from referral_svc import tables
from referral_svc.domain import matching
from referral_svc.domain.directory import Directory, Organization, Service
from referral_svc.domain.matching import Match
from referral_svc.domain.routing import Policy, Rule
from referral_svc.domain.verdicts import Inputs
from referral_svc.tables import Key

_MOST_KEPT = 20_000  # matches and plans in memory; then they are forgotten and judged again
_TURNS_ANEW = 10.0  # seconds until the turns that other processes gave are read again


@dataclass(frozen=True, slots=True)
class Planned:
    """Route and match of all needs that are alike in every fact that counts."""

    rule: Rule
    urgency: str
    match: Match
    revision: int


class World:
    """One process's knowledge, shared by all its sets."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.plans: dict[Hashable, Planned] = {}
        self.turns: dict[str, dict[UUID, int]] = {}
        # Matches that are in the database, and those written by a set that may have failed.
        self.stored: set[Key] = set()
        self.tried: set[Key] = set()
        self._judged: dict[tuple[str, Inputs], tuple[int, Match]] = {}
        self._inputs: dict[Key, Inputs] = {}
        self._directories: dict[str, Directory] = {}
        self._stamps: dict[str, int] = {}
        self._turns_read: dict[str, float] = {}
        self._reading = asyncio.Lock()

    def put_in_force(self, policy: Policy) -> None:
        """From now on *policy* decides; what was judged by the former one is forgotten."""
        self.policy = policy
        self.plans.clear()
        self._judged.clear()

    def directory(self, agency: str) -> Directory:
        return self._directories.setdefault(agency, Directory())

    async def sync(self, connection: Connection, agencies: Iterable[str]) -> None:
        """Follow the tables: what changed in these agencies' directories since the last time."""
        wanted = set(agencies)
        async with self._reading:
            heads = await tables.stamps(connection, wanted)
            for agency in wanted:
                stamp = heads.get(agency, 0)
                if stamp > self._stamps.get(agency, 0):
                    await self._read_directory(connection, agency)
                    self._stamps[agency] = stamp
                if time.monotonic() > self._turns_read.get(agency, 0.0):
                    self._turns_read[agency] = time.monotonic() + _TURNS_ANEW
                    known = self.turns.setdefault(agency, {})
                    for id_, asked in (await tables.turns_of(connection, agency)).items():
                        known[id_] = max(asked, known.get(id_, 0))
        if len(self.plans) > _MOST_KEPT:
            self.plans.clear()
        if len(self._judged) > _MOST_KEPT or len(self._inputs) > _MOST_KEPT:
            self._judged.clear()
            self._inputs.clear()

    async def _read_directory(self, connection: Connection, agency: str) -> None:
        directory = self.directory(agency)
        since = self._stamps.get(agency, 0)
        tail = "t WHERE agency_id = $1 AND stamp > $2"
        for row in await sets.fetch(connection, tables.OrganizationRow, tail, agency, since):
            if row.deleted:
                directory.drop_organization(row.id, row.version)
            else:
                directory.put_organization(organization_of(row))
        for row in await sets.fetch(connection, tables.ServiceRow, tail, agency, since):
            if row.deleted:
                directory.drop_service(row.id, row.version)
            else:
                directory.put_service(service_of(row))

    def inputs(
        self,
        agency: str,
        rule: Rule,
        target: TargetKind,
        like: Inputs,
        area: Iterable[str],
    ) -> Inputs:
        """What to look at for this kind of target; *like* holds what is known of the need.

        ``area`` is the whole area; codes that no service names are left out.
        """
        directory = self.directory(agency)
        if target is TargetKind.PARTNER:
            serves = tuple(sorted(rule.serves)) or (like.category,)
            known = frozenset[str]().union(*map(directory.areas_of, serves))
            return replace(
                like,
                target=target,
                serves=serves,
                organizations=(),
                area=tuple(code for code in area if code in known),
            )
        asked = rule.organizations if target == rule.target else self.policy.case_management
        if target is TargetKind.CASE_MANAGER and like.recipients:
            # The resident may have named another case-management organization.
            asked += tuple(
                id_
                for id_ in like.recipients
                if id_ not in asked and self._is_case_management(directory, id_)
            )
        return replace(like, target=target, serves=(), organizations=asked, area=())

    @staticmethod
    def _is_case_management(directory: Directory, id_: UUID) -> bool:
        organization = directory.organizations.get(id_)
        return organization is not None and organization.kind == OrganizationKind.CASE_MANAGEMENT

    def match(self, agency: str, inputs: Inputs, now: datetime) -> Match:
        """The match of these inputs, judged once as long as nothing it looks at changes."""
        directory = self.directory(agency)
        revision = directory.revision_of(looks_at(inputs))
        found = self._judged.get((agency, inputs))
        if found is not None and found[0] == revision and not _too_old(found[1], now):
            return found[1]
        made = matching.judge(inputs, directory, self.policy.matching, self.policy.version, now)
        self._judged[agency, inputs] = (revision, made)
        self._inputs[agency, made.id] = inputs
        return made

    def plan(self, agency: str, key: Hashable, category: str, now: datetime) -> Planned | None:
        """The plan kept under *key*, if nothing that it looked at has changed."""
        found = self.plans.get(key)
        if found is None:
            return None
        revision = self.directory(agency).revision_of((category, "*", *found.rule.serves))
        return found if found.revision == revision and not _too_old(found.match, now) else None

    def inputs_of(self, agency: str, match_id: UUID) -> Inputs:
        """What a stored match looked at; it has been read by `learn`."""
        return self._inputs[agency, match_id]

    async def learn(self, connection: Connection, keys: Iterable[Key]) -> None:
        """Make the inputs of these matches known."""
        missing = [key for key in keys if key not in self._inputs]
        for key, row in (await tables.matches(connection, missing)).items():
            self._inputs[key] = matching.inputs_from_json(row.inputs)


def looks_at(inputs: Inputs) -> tuple[str, ...]:
    """Kinds of need whose services decide the match; "*" is for changes of organizations alone."""
    return (inputs.category, "*", *inputs.serves)


def _too_old(match: Match, now: datetime) -> bool:
    return match.valid_until is not None and now > match.valid_until


def organization_of(row: Any) -> Organization:
    return Organization(
        row.id,
        row.name,
        row.kind,
        row.agreement_active,
        frozenset(UUID(id_) for id_ in row.participants),
        row.version,
    )


def service_of(row: Any) -> Service:
    rules = row.eligibility
    return Service(
        id=row.id,
        organization_id=row.organization_id,
        name=row.name,
        status=row.status,
        needs=frozenset(row.needs),
        areas=frozenset(row.areas),
        areas_partly=frozenset(row.areas_partly),
        area_unknown=row.area_unknown,
        minimum_age=row.minimum_age,
        maximum_age=row.maximum_age,
        languages=frozenset(row.languages),
        languages_unknown=row.languages_unknown,
        interpretation=row.interpretation,
        tenures=frozenset(rules.get("tenures", ())),
        age_bands=frozenset(rules.get("age_bands", ())),
        rules_in_words=rules.get("stated_in_words", False),
        capacity=row.capacity,
        capacity_available=row.capacity_available,
        capacity_said_at=row.capacity_said_at,
        declined_at=row.declined_at,
        version=row.version,
    )
