"""One set at work: its cases in memory, what it says, and how it is saved."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from event_schemas.base import Event
from event_schemas.codes import Role
from handoff_kit import sets
from handoff_kit.tx import Cause, Tx

from referral_svc import tables
from referral_svc.domain.calendar import Span
from referral_svc.domain.matching import Match, as_json, inputs_as_json
from referral_svc.domain.records import Bundle, Need, Offer
from referral_svc.domain.routing import Rule
from referral_svc.domain.timeline import Entry
from referral_svc.handlers.world import World
from referral_svc.tables import Key


@dataclass(slots=True)
class Work:
    """A set in hand. ``cause`` is that of the member that is being decided.

    What is said is kept until `save`, so that a refused command can take its words back.
    """

    world: World
    tx: Tx
    bundles: dict[Key, Bundle]
    ended_consents: set[Key] = field(default_factory=set)
    cause: Cause | None = None
    said: list[tuple[Event, str, Cause | None]] = field(default_factory=list)
    matches: dict[Key, Match] = field(default_factory=dict)
    turned: dict[Key, int] = field(default_factory=dict)
    full: dict[Key, datetime] = field(default_factory=dict)
    _due: dict[Span, datetime] = field(default_factory=dict)
    _turns: int = 0
    _first_turn: int = 0

    def __post_init__(self) -> None:
        self._first_turn = int(self.tx.now.timestamp() * 1_000_000)

    @property
    def now(self) -> datetime:
        return self.tx.now

    def find(self, agency: str, case_id: UUID) -> Bundle | None:
        return self.bundles.get((agency, case_id))

    def say(self, agency: str, event: Event) -> None:
        self.said.append((event, agency, self.cause))

    def write(
        self,
        bundle: Bundle,
        entry: Entry,
        need: Need | None = None,
        offer: Offer | None = None,
        role: str = Role.SYSTEM,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Put an entry on the case's timeline; the case's version grows. *facts*: codes."""
        bundle.case.version += 1
        row: dict[str, Any] = {"type": entry, "actor_role": role}
        if need is not None:
            row["need_id"] = need.id
        if offer is not None:
            row["offer_id"] = offer.id
        if facts:
            row["facts"] = facts
        bundle.written.append(row)

    def touch(self, bundle: Bundle, need: Need) -> None:
        """The need changed: its version grows and it is saved."""
        need.version += 1
        bundle.changed.add(need.id)

    def due(self, span: Span) -> datetime:
        """When a clock of this length that starts now will be due."""
        found = self._due.get(span)
        if found is None:
            found = self._due[span] = span.after(self.now, self.world.policy.calendar)
        return found

    def rule(self, need: Need) -> Rule:
        """The need's rule; the last one where the policy in force has lost it."""
        return self.world.policy.rule(need.route) or self.world.policy.rules[-1]

    def turn(self, agency: str, target: UUID) -> None:
        """*target* has had its turn."""
        self._turns += 1
        asked = self._first_turn + self._turns
        self.world.turns.setdefault(agency, {})[target] = asked
        self.turned[agency, target] = asked

    async def save(self) -> None:
        """Write rows, matches and turns, and hand what was said to the outbox."""
        await self._save_matches()
        tables.save_bundles(self.tx, self.bundles.values())
        if self.full:
            await self._save_full()
        self.tx.write(tables.saving_turns(self.turned))
        for event, agency, cause in self.said:
            self.tx.emit(event, agency=agency, cause=cause)

    async def _save_matches(self) -> None:
        """Store matches that are not there yet. One is asked for once, after its first set."""
        stored, tried = self.world.stored, self.world.tried
        again = [key for key in self.matches if key in tried]
        if again:
            stored |= await tables.matches_known(self.tx.conn, again)
            tried.difference_update(again)
        missing = sorted(key for key in self.matches if key not in stored)
        rows = [_match_row(key[0], self.matches[key], self.now) for key in missing]
        self.tx.insert(tables.MatchRow, rows, "nothing")
        tried.update(missing)

    async def _save_full(self) -> None:
        """Mark services that declined for want of capacity, in a stamp of their own."""
        stamps = await tables.next_stamps(self.tx.conn, {agency for agency, _ in self.full})
        rows = [
            {"agency_id": agency, "id": id_, "declined_at": at, "stamp": stamps[agency]}
            for (agency, id_), at in sorted(self.full.items())
        ]
        await sets.update(self.tx.conn, tables.ServiceRow, rows, columns=("declined_at", "stamp"))


def _match_row(agency: str, match: Match, now: datetime) -> dict[str, Any]:
    return {
        "agency_id": agency,
        "id": match.id,
        "inputs": inputs_as_json(match.inputs),
        "candidates": [as_json(candidate) for candidate in match.candidates],
        "policy_version": match.policy_version,
        "directory_version": match.directory_version,
        "made_at": now,
    }


async def open_set(world: World, tx: Tx, keys: Iterable[Key], consents: Iterable[Key] = ()) -> Work:
    """Load all that the set touches. Consents are read last, under the locks of their cases."""
    wanted = set(keys)
    await world.sync(tx.conn, {agency for agency, _ in wanted})
    bundles = await tables.lock_bundles(tx.conn, wanted)
    used = {
        (need.agency_id, need.match_id)
        for bundle in bundles.values()
        for need in bundle.needs.values()
        if need.match_id is not None
    }
    if used:
        await world.learn(tx.conn, used)
    ended = await tables.consents_over(tx.conn, consents)
    return Work(world, tx, bundles, ended)
