"""Which names mean the same household. Names leave here only into a keyed hash."""

from functools import lru_cache

from intake_svc.domain.properties import plain

_SILENT = frozenset("aeiouyhw")


def name_key(name: str) -> str:
    """A name in normal form: case, accents, punctuation and the order of its parts are nothing."""
    return " ".join(sorted(plain(name).replace("#", " ").split()))


def likeness_key(name: str) -> str:
    """What similar names share, of a `name_key`: each part's first letter and next consonants.

    Two of them, without doubling and without those that are hardly heard.
    """
    return " ".join(sorted([_skeleton(word) for word in name.split()]))


@lru_cache(maxsize=4096)
def _skeleton(word: str) -> str:
    found = first = word[0]
    for letter in word[1:]:
        if letter not in _SILENT and letter != first and letter != found[-1]:
            found += letter
            if len(found) == 3:
                break
    return found


def phone_key(phone: str) -> str:
    """The last ten digits of a phone number; empty where there are fewer than seven."""
    digits = "".join(c for c in phone if c.isdecimal())
    return digits[-10:] if len(digits) >= 7 else ""
