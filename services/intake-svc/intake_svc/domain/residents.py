"""Which names mean the same household. Names leave here only into a keyed hash."""

from intake_svc.domain.properties import plain

_VOWELS = str.maketrans("", "", "aeiouyhw")


def name_key(name: str) -> str:
    """A name in normal form: case, accents, punctuation and the order of its parts are nothing."""
    return " ".join(sorted(plain(name).replace("#", " ").split()))


def likeness_key(name: str) -> str:
    """What similar names share: each part's first letter and its next two distinct consonants."""
    parts = []
    for word in name_key(name).split():
        rest = word[1:].translate(_VOWELS)
        distinct = [c for at, c in enumerate(rest) if at == 0 or c != rest[at - 1]]
        parts.append(word[0] + "".join(c for c in distinct if c != word[0])[:2])
    return " ".join(sorted(parts))


def phone_key(phone: str) -> str:
    """The last ten digits of a phone number; empty where there are fewer than seven."""
    digits = "".join(c for c in phone if c.isdecimal())
    return digits[-10:] if len(digits) >= 7 else ""
