"""The residents of a set: found by property and name, or made; what is told of them is sealed."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from handoff_kit.crypto import make_owner_key, open_json, seal_json, unwrap_owner_key
from handoff_kit.ids import new_id
from handoff_kit.tx import Tx

from intake_svc.domain.residents import likeness_key, name_key, phone_key
from intake_svc.domain.rows import PossibleMatch, Property, Resident
from intake_svc.handlers.city import Office
from intake_svc.tables import PossibleMatchRow, ResidentRow, queries

_HALF = 16  # bytes of each hash in a name index


class Person:
    """Who a referral is about: facts as given, and the keyed hashes by which it is found."""

    __slots__ = ("facts", "name_index", "phone_index")

    def __init__(self, office: Office, agency: str, facts: dict[str, Any]) -> None:
        self.facts = facts
        name = name_key(facts["name"])
        self.name_index = (
            office.index(agency, "likeness", likeness_key(name))[:_HALF]
            + office.index(agency, "name", name)[:_HALF]
        )
        phone = phone_key(facts.get("phone") or "")
        self.phone_index = office.index(agency, "phone", phone) if phone else None

    def lock(self, agency: str) -> tuple[str, str]:
        """What a set has to lock before it looks for this person."""
        return agency, f"name:{self.name_index.hex()}"


class People:
    """Residents as this set sees them; new and changed ones wait to be saved."""

    def __init__(self, office: Office, now: datetime) -> None:
        self._office = office
        self._now = now
        self._known: dict[tuple[UUID, bytes], Resident] = {}
        self._alike: list[Resident] = []
        self._keys: dict[UUID, bytes] = {}
        self._changed: dict[UUID, Resident] = {}
        self._new_ids: set[UUID] = set()
        self.new: list[Resident] = []
        self.matches: list[PossibleMatch] = []

    async def load(self, tx: Tx, asked: Iterable[tuple[Property, Person, bool]]) -> None:
        """Find who is there; the flag says that the property is new, so nobody can be."""
        names, phones = [], []
        for place, person, is_new in asked:
            if not is_new:
                names.append((place.agency_id, place.id, person.name_index[:_HALF]))
            if person.phone_index is not None:
                phones.append((place.agency_id, person.phone_index))
        self._alike = await queries.residents_alike(
            tx.conn, list(dict.fromkeys(names)), list(dict.fromkeys(phones))
        )
        for row in self._alike:
            self._known[row.property_id, row.name_index] = row

    def resolve(self, place: Property, person: Person) -> Resident:
        """The resident of this name at this property, with the new facts sealed in."""
        found = self._known.get((place.id, person.name_index))
        if found is None:
            return self._make(place, person)
        self._tell(found, person)
        return found

    def _make(self, place: Property, person: Person) -> Resident:
        id_ = new_id()
        key, wrapped = make_owner_key(self._office.keys, id_)
        made = Resident(
            place.agency_id,
            id_,
            new_id(),
            place.id,
            person.name_index,
            person.phone_index,
            wrapped,
            seal_json(key, id_, person.facts),
            self._now,
            self._now,
        )
        self._keys[id_] = key
        self._known[place.id, person.name_index] = made
        self.new.append(made)
        self._new_ids.add(id_)
        self._note_matches(made)
        return made

    def _tell(self, known: Resident, person: Person) -> None:
        """What was said last wins; what is not said anew stays."""
        if known.wrapped_key:
            key = self.key_of(known)
            facts = open_json(key, known.id, known.sealed) | person.facts
        else:  # erased, and now here again
            key, known.wrapped_key = make_owner_key(self._office.keys, known.id)
            self._keys[known.id] = key
            facts = person.facts
        known.sealed = seal_json(key, known.id, facts)
        known.phone_index = person.phone_index or known.phone_index
        known.updated_at = self._now
        if known.id not in self._new_ids:
            self._changed[known.id] = known

    def _note_matches(self, made: Resident) -> None:
        """Who may be the same person waits for a person to say so; one for each reason is noted."""
        reasons: dict[str, Resident] = {}
        for other in self._alike:
            if other.agency_id != made.agency_id:
                continue
            if other.phone_index is not None and other.phone_index == made.phone_index:
                reasons.setdefault("same-phone", other)
            if (
                other.property_id == made.property_id
                and other.name_index[:_HALF] == made.name_index[:_HALF]
            ):
                reasons.setdefault("similar-name", other)
        for reason, other in reasons.items():
            self.matches.append(
                PossibleMatch(made.agency_id, new_id(), made.id, other.id, reason, self._now)
            )

    def key_of(self, row: Resident) -> bytes:
        """Raises: crypto.Erased, crypto.KeyServiceAway."""
        key = self._keys.get(row.id)
        if key is None:
            key = self._keys[row.id] = unwrap_owner_key(
                self._office.keys, row.id, row.wrapped_key or None
            )
        return key

    def save(self, tx: Tx) -> None:
        """Write who is new, what was told about known residents, and who may be the same."""
        tx.insert(ResidentRow, self.new)
        tx.insert(PossibleMatchRow, self.matches)
        changed = [self._changed[id_] for id_ in sorted(self._changed)]
        tx.update(ResidentRow, changed, ("phone_index", "wrapped_key", "sealed", "updated_at"))
