"""The properties of a set: found, made or learned about, in two reads."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from event_schemas.inbound import PropertyReport
from event_schemas.inspections import PropertyCodes
from handoff_kit.crypto import make_owner_key, unwrap_owner_key
from handoff_kit.db import Connection
from handoff_kit.ids import new_id
from handoff_kit.tx import Tx

from intake_svc.domain.inspections import as_code
from intake_svc.domain.properties import Located, keys_to_store, learned
from intake_svc.domain.rows import Property, PropertyKey
from intake_svc.handlers.city import Office
from intake_svc.tables import PropertyKeyRow, PropertyRow, queries

_CODES = tuple(PropertyCodes.model_fields)


class Told:
    """What one report says of a property."""

    __slots__ = ("agency", "codes", "keys", "located", "place")

    def __init__(self, agency: str, report: PropertyReport) -> None:
        self.agency = agency
        place: dict[str, Any] = {}
        address = report.address
        if report.parcel_id is not None:
            place["parcel_id"] = report.parcel_id
        if report.address_id is not None:
            place["address_id"] = report.address_id
        if address is not None:
            place["line1"] = address.line1
            if address.unit is not None:
                place["unit"] = address.unit
            if address.city is not None:
                place["city"] = address.city
            if address.postal_code is not None:
                place["postal_code"] = address.postal_code
        if report.point is not None:
            place["latitude"], place["longitude"] = report.point
        self.place = place
        self.located = Located.of(place)
        self.keys = self.located.ways()
        given = report.__dict__
        self.codes = {name: given[name] for name in _CODES if given[name] is not None}

    def names(self) -> list[tuple[str, str]]:
        """What a set has to lock before it looks."""
        return [(self.agency, key) for key in self.keys]


class Places:
    """Properties by key, as this set sees them; new and changed ones wait to be saved."""

    def __init__(self, office: Office, now: datetime) -> None:
        self._office = office
        self._now = now
        self._known: dict[tuple[str, str], Property] = {}
        self._located: dict[UUID, Located] = {}
        self._keys: dict[UUID, bytes] = {}
        self._changed: dict[UUID, Property] = {}
        self.new: dict[UUID, Property] = {}
        self.new_keys: list[PropertyKey] = []

    async def load(self, conn: Connection, told: Iterable[Told]) -> None:
        """Find what is there. The names must be locked."""
        asked = dict.fromkeys(name for one in told for name in one.names())
        if asked:
            self._known.update(await queries.properties_by_key(conn, list(asked)))

    def resolve(self, told: Told) -> Property:
        """The property that *told* means; a new one where none is known."""
        agency, located = told.agency, told.located
        for key in told.keys:
            found = self._known.get((agency, key))
            if found is not None and located.may_be(self._where(found), key):
                self._learn(found, told)
                return found
        return self._make(told)

    def _where(self, known: Property) -> Located:
        where = self._located.get(known.id)
        if where is None:
            where = self._located[known.id] = Located.of(known.place)
        return where

    def _make(self, told: Told) -> Property:
        id_ = new_id()
        key, wrapped = make_owner_key(self._office.keys, id_)
        made = Property(
            told.agency,
            id_,
            told.place,
            dict(told.codes),
            self._office.areas.of(told.place),
            wrapped,
            self._now,
        )
        self._keys[id_] = key
        self.new[id_] = made
        self._located[id_] = told.located
        self._remember(made, told)
        return made

    def _learn(self, known: Property, told: Told) -> None:
        self._remember(known, told)
        place = learned(known.place, told.place)
        codes = told.codes
        if place is None and all(known.codes.get(name) == code for name, code in codes.items()):
            return
        known.codes = {**known.codes, **codes}
        if place is not None:
            known.place = place
            self._located[known.id] = Located.of(place)
            known.areas = self._office.areas.of(place)
        if known.id not in self.new:
            self._changed[known.id] = known

    def _remember(self, row: Property, told: Told) -> None:
        """Let the property be found by what was told, unless another one is found by it."""
        known, agency = self._known, row.agency_id
        if all((agency, key) in known for key in told.keys):
            return
        for key in keys_to_store(told.located, [k for k in told.keys if (agency, k) in known]):
            known[agency, key] = row
            self.new_keys.append(PropertyKey(agency, key, row.id))

    def key_of(self, row: Property) -> bytes:
        """The key that seals what is said about a property. Raises: crypto.Erased and others."""
        key = self._keys.get(row.id)
        if key is None:
            key = self._keys[row.id] = unwrap_owner_key(self._office.keys, row.id, row.wrapped_key)
        return key

    def save(self, tx: Tx) -> None:
        """Write what is new and what was learned about known properties."""
        tx.insert(PropertyRow, list(self.new.values()))
        tx.insert(PropertyKeyRow, self.new_keys)
        changed = [self._changed[id_] for id_ in sorted(self._changed)]
        tx.update(PropertyRow, changed, ("place", "codes", "areas"))


def event_codes(codes: Mapping[str, str]) -> PropertyCodes:
    """What is known of building and owner, as events carry it."""
    said: dict[str, Any] = {
        name: code for name in codes if (code := as_code(codes[name])) is not None
    }
    return PropertyCodes(**said)


def shown(row: Property) -> dict[str, Any]:
    """Address, unit and parcel of a property, for who may know them."""
    place = row.place
    address = {n: place[n] for n in ("line1", "unit", "city", "postal_code") if n in place}
    return {
        "property_id": str(row.id),
        "parcel_id": place.get("parcel_id"),
        "address": address or None,
        "latitude": place.get("latitude"),
        "longitude": place.get("longitude"),
    }
