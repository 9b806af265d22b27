"""Which reports mean the same property: by parcel, else address id, else address, else point."""

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

PLACE_FIELDS = (
    "parcel_id",
    "address_id",
    "line1",
    "unit",
    "city",
    "postal_code",
    "latitude",
    "longitude",
)

# USPS Publication 28, appendix C: the common suffixes, and directions, by their abbreviations.
_SHORT = {
    "street": "st",
    "str": "st",
    "avenue": "ave",
    "av": "ave",
    "road": "rd",
    "boulevard": "blvd",
    "boul": "blvd",
    "drive": "dr",
    "lane": "ln",
    "court": "ct",
    "place": "pl",
    "square": "sq",
    "terrace": "ter",
    "terr": "ter",
    "parkway": "pkwy",
    "pky": "pkwy",
    "highway": "hwy",
    "circle": "cir",
    "alley": "aly",
    "crescent": "cres",
    "expressway": "expy",
    "plaza": "plz",
    "route": "rte",
    "trail": "trl",
    "north": "n",
    "south": "s",
    "east": "e",
    "west": "w",
    "northeast": "ne",
    "northwest": "nw",
    "southeast": "se",
    "southwest": "sw",
    "saint": "st",
    "mount": "mt",
    "fort": "ft",
}
_UNIT_WORDS = frozenset(
    {
        "apartment",
        "apt",
        "unit",
        "suite",
        "ste",
        "room",
        "rm",
        "floor",
        "fl",
        "no",
        "number",
        "apmt",
    }
)
_DROPPED = {ord(c): None for c in ".'`\u2019"}
_BLANKED = str.maketrans(dict.fromkeys(',;:/\\-_()[]{}"!?*+=<>|&@~^%$', " "))


def plain(text: str) -> str:
    """Lower case, without accents and punctuation, single spaces. Idempotent.

    ``#`` stays a token of its own, since it stands before a unit.
    """
    if not text.isascii():
        for _ in range(2):  # case folding may bring forth what can be decomposed again
            text = unicodedata.normalize("NFKD", text).casefold()
        text = "".join(c for c in text if c.isalnum() or c in "# " or c.isascii())
    text = text.lower().translate(_DROPPED).translate(_BLANKED)
    return " ".join(text.replace("#", " # ").split())


@lru_cache(maxsize=8192)
def street_key(line1: str, unit: str | None) -> str:
    """Street and unit in normal form: ``"12 example st|3b"``. Idempotent in both parts.

    Letter case, spaces, punctuation and the way a suffix is written do not matter. A unit that
    is written behind the street counts as the unit where no other is given.
    """
    words = [_SHORT.get(word, word) for word in plain(line1).split()]
    tail = ""
    for at in range(len(words) - 1, 0, -1):
        if words[at] == "#" or (words[at] in _UNIT_WORDS and at < len(words) - 1):
            if len(words) - at <= 3:
                tail = " ".join(words[at:])
                words = words[:at]
            break
    return f"{' '.join(word for word in words if word != '#')}|{unit_key(unit or tail)}"


def unit_key(unit: str) -> str:
    """A unit without its designator: ``Apt. 3-B``, ``#3B`` and ``unit 3 b`` are ``3b``."""
    words = plain(unit).replace("#", " ").split()
    while len(words) > 1 and words[0] in _UNIT_WORDS:
        words = words[1:]
    return "".join(words)


def code_key(code: str) -> str:
    """A parcel or address id without case, spaces and punctuation."""
    return re.sub(r"[\W_]+", "", code).casefold()


@dataclass(frozen=True, slots=True)
class Located:
    """Where a report says that something is, in normal form; empty where it does not say."""

    parcel: str = ""
    address_id: str = ""
    street: str = ""
    locality: str = ""
    point: str = ""

    @staticmethod
    def of(place: Mapping[str, Any]) -> "Located":
        """Of the facts named in ``PLACE_FIELDS``."""
        line1, latitude = place.get("line1"), place.get("latitude")
        longitude = place.get("longitude")
        parcel, address_id = place.get("parcel_id"), place.get("address_id")
        return Located(
            code_key(parcel) if parcel else "",
            code_key(address_id) if address_id else "",
            street_key(line1, place.get("unit")) if line1 else "",
            _locality(place) if line1 else "",
            # Five decimals of a degree are about a metre.
            f"{latitude + 0.0:.5f},{longitude + 0.0:.5f}"
            if latitude is not None and longitude is not None
            else "",
        )

    def ways(self) -> list[str]:
        """What to look for, surest first."""
        found = []
        if self.parcel:
            found.append(f"parcel:{self.parcel}")
        if self.address_id:
            found.append(f"id:{self.address_id}")
        if self.street:
            if self.locality:
                found.append(f"address:{self.street}|{self.locality}")
            found.append(f"address:{self.street}")
        if self.point:
            found.append(f"point:{self.point}")
        return found

    def may_be(self, known: "Located", key: str) -> bool:
        """Whether what was found by *key* can be meant, although surer facts may say no.

        A point is shared by all flats of a house and a street name by two towns: what both sides
        know better than the key must not differ.
        """
        surer = [(self.parcel, known.parcel)]
        if not key.startswith("parcel:"):
            surer.append((self.address_id, known.address_id))
            if key.startswith("address:"):
                surer.append((self.locality, known.locality))
            elif key.startswith("point:"):
                surer.append((self.street, known.street))
        else:
            return True
        if key.startswith("id:"):
            surer = surer[:1]
        return all(not mine or not theirs or mine == theirs for mine, theirs in surer)


def _locality(place: Mapping[str, Any]) -> str:
    postal = place.get("postal_code")
    if postal:
        return code_key(postal)[:5] if postal[:5].isdigit() else code_key(postal)
    return code_key(place.get("city") or "")


def keys_to_store(located: Located, taken: Collection[str]) -> list[str]:
    """The keys by which a property shall be found from now on, without those that are *taken*.

    The address with its town is only needed where another property has the bare address.
    """
    keys = [key for key in located.ways() if key not in taken]
    bare = f"address:{located.street}"
    if bare in keys:
        return [key for key in keys if key == bare or not key.startswith("address:")]
    return keys


def learned(known: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any] | None:
    """The place with what is new in *told*; None where nothing is. What is known stays.

    Address parts come together or not at all, and so does a point.
    """
    groups = (
        ("parcel_id",),
        ("address_id",),
        ("line1", "unit", "city", "postal_code"),
        ("latitude", "longitude"),
    )
    fresh = {
        name: told[name]
        for group in groups
        if known.get(group[0]) is None and told.get(group[0]) is not None
        for name in group
        if told.get(name) is not None
    }
    return {**known, **fresh} if fresh else None
