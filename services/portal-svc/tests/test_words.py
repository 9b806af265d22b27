"""Everything is said in every language, and every code has words."""

import re
import string
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from event_schemas import codes
from portal_svc.api import words
from portal_svc.api.words import LANGUAGES, Words, catalogue, language_of
from portal_svc.domain.pages import PAGES, Coarse

ZONE = ZoneInfo("America/New_York")
EN, ES = Words("en", ZONE), Words("es", ZONE)
API = Path(words.__file__).resolve().parents[1]


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("kind", sorted(catalogue()))
def test_no_sentence_is_missing_and_all_take_the_same_values(kind: str) -> None:
    for key, said in catalogue()[kind].items():
        assert len(said) == len(LANGUAGES), key
        assert all(text.strip() == text and text for text in said), key
        assert len({frozenset(fields(text)) for text in said}) == 1, key


@pytest.mark.parametrize(
    ("kind", "list_"),
    [
        ("category", codes.NeedCategory),
        ("urgency", codes.Urgency),
        ("need", codes.NeedStatus),
        ("case", codes.CaseStatus),
        ("offer", codes.OfferStatus),
        ("reason", codes.Reason),
        ("outcome", codes.Outcome),
        ("result", codes.ContactResult),
        ("coarse", Coarse),
    ],
)
def test_every_code_has_words(kind: str, list_: type) -> None:
    assert set(catalogue()[kind]) == {str(code) for code in list_}


def test_every_sentence_that_a_template_says_is_there_and_none_is_left_over() -> None:
    text = "".join(p.read_text() for p in [*API.glob("templates/**/*.html"), *API.glob("*.py")])
    known = set(catalogue()["sentence"])
    said = set(re.findall(r'w\.say\("([a-z.-]+)"', text))
    assert said - known == set()
    # Keys that are put together: a page's title and lead, a message's, a problem's, singular forms.
    made = {f"{page}.{part}" for page in PAGES for part in ("title", "lead")}
    made |= {
        f"{message}.{part}" for message in ("no-page", "not-found") for part in ("title", "text")
    }
    quoted = set(re.findall(r'"([a-z]+[a-z.-]*)"', text))
    plural = {f"{key}.{n}" for key in quoted for n in ("one", "many")}
    assert made <= known
    assert known - said - made - quoted - plural == set()


def test_numbers_dates_and_areas_as_people_write_them() -> None:
    at = datetime(2026, 1, 5, 18, 4, tzinfo=UTC)
    assert (EN.moment(at), ES.moment(at)) == ("Jan 5, 1:04 PM", "5 ene, 13:04")
    midnight = datetime(2026, 1, 5, 5, 0, tzinfo=UTC)
    assert (EN.moment(midnight), ES.moment(midnight)) == ("Jan 5, 12:00 AM", "5 ene, 0:00")
    assert (EN.day(date(2026, 9, 7)), ES.day(date(2026, 9, 7))) == ("Sep 7", "7 sept")
    assert (EN.number(12345), ES.number(12345), ES.number(1234)) == ("12,345", "12.345", "1234")
    assert (EN.decimal(0.25), ES.decimal(1.5)) == ("0.2", "1,5")
    assert EN.area(["city:demo", "postcode:02150", "tract:1"]) == "02150"
    assert EN.area(["tract:1"]) == ""
    assert EN.code("category", "a-new-kind") == "a new kind"


@pytest.mark.parametrize(
    ("accept", "language"),
    [
        ("", "en"),
        ("es-MX,es;q=0.9,en;q=0.8", "es"),
        ("en;q=0.5, es;q=0.7", "es"),
        ("de, fr;q=0.5", "en"),
        ("es;q=0", "en"),
        ("es;q=x", "en"),
    ],
)
def test_the_browsers_language(accept: str, language: str) -> None:
    assert language_of(None, None, accept=accept) == language


def test_what_was_chosen_wins() -> None:
    assert language_of("xx", "es", accept="en") == "es"
