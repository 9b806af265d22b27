"""What the pages say, in each of their languages."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

from portal_svc.api.words.codes import CODES
from portal_svc.api.words.sentences import MONTHS, SENTENCES

LANGUAGES: Final[dict[str, str]] = {"en": "English", "es": "Español"}
DEFAULT: Final = "en"


@dataclass(frozen=True)
class Words:
    """The sentences, codes, numbers and dates of one language, in the city's time zone."""

    language: str
    timezone: ZoneInfo

    @cached_property
    def _at(self) -> int:
        return list(LANGUAGES).index(self.language)

    def say(self, key: str, **values: object) -> str:
        """A sentence. Raises: KeyError for one that does not exist."""
        return SENTENCES[key][self._at].format(**values)

    def count(self, key: str, n: int) -> str:
        """A sentence with a number: ``key.one`` for one, ``key.many`` otherwise."""
        return self.say(f"{key}.one" if n == 1 else f"{key}.many", n=self.number(n))

    def code(self, kind: str, code: str) -> str:
        """A code in words; one that is not in the catalogue as it is, with spaces."""
        words = CODES.get(kind, {}).get(code)
        return words[self._at] if words else code.replace("-", " ")

    def number(self, n: int) -> str:
        """12,345 or 12.345; in Spanish four digits stay together (RAE, Ortografía 2010)."""
        if self.language == "es":
            return f"{n:,}".replace(",", ".") if n >= 10_000 else str(n)
        return f"{n:,}"

    def decimal(self, n: float) -> str:
        """With one place: 0.3 or 0,3."""
        text = f"{n:.1f}"
        return text.replace(".", ",") if self.language == "es" else text

    def day(self, day: date) -> str:
        month = MONTHS[day.month - 1][self._at]
        return f"{day.day} {month}" if self.language == "es" else f"{month} {day.day}"

    def moment(self, at: datetime) -> str:
        """Day and time in the city's zone, on the clock that its readers are used to."""
        local = at.astimezone(self.timezone)
        if self.language == "es":
            return f"{self.day(local)}, {local.hour}:{local.minute:02}"
        half = "AM" if local.hour < 12 else "PM"
        return f"{self.day(local)}, {local.hour % 12 or 12}:{local.minute:02} {half}"

    def area(self, codes: list[str]) -> str:
        """The smallest area that people know by name; empty when there is none."""
        by_level = dict(code.split(":", 1) for code in codes)
        for level in ("neighbourhood", "postcode", "district", "city"):
            if level in by_level:
                return by_level[level].replace("-", " ")
        return ""


def language_of(*wishes: str | None, accept: str = "") -> str:
    """The first of *wishes* that is spoken here, else what Accept-Language likes best."""
    for wish in wishes:
        if wish in LANGUAGES:
            return wish
    best, weight = DEFAULT, 0.0
    for part in accept.split(","):
        tag, _, parameters = part.strip().partition(";")
        language = tag.split("-", 1)[0].lower()
        quality = _quality(parameters)
        if language in LANGUAGES and quality > weight:
            best, weight = language, quality
    return best


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def catalogue() -> Mapping[str, Mapping[str, tuple[str, str]]]:
    """Everything that is said, by kind, for the test that nothing is missing."""
    return {"sentence": SENTENCES, **CODES}
