"""One dirty value → (a clean one or None, what was mended or None). Pure."""

import html
import math
import re
from collections.abc import Callable
from datetime import date, datetime
from urllib.parse import urlsplit

from handoff_kit.text import made_plain

from partner_svc.directory.parse import printable

Cleaned = tuple[object, str | None]
Cleaner = Callable[[object], Cleaned]

_TAG = re.compile(
    r"</?(?:p|br|div|span|strong|em|b|i|u|ul|ol|li|a|h[1-6]|font|table|tr|td|th|tbody|img|script"
    r"|style|iframe|object|embed|form|input|svg)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});", re.IGNORECASE)
_MOJIBAKE = re.compile("[\u00c2\u00c3\u00e2][\u0080-\u00bf\u20ac\u201a-\u2122]")
_EMAIL = re.compile(r"[A-Za-z0-9._%+'-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}")
_HOST = re.compile(r"(?:[a-z0-9-]{1,63}\.)+[a-z]{2,24}(?::\d{1,5})?(?:[/?#].*)?", re.IGNORECASE)
_TIME = re.compile(
    r"(\d{1,2})(?:[:.h]?(\d{2}))?(?::(\d{2})(?:\.\d+)?)?\s*([ap])?\.?\s?(?:m\.?)?"
    r"\s*(z|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE,
)
_ISO_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ].*)?")
_DATE_FORMATS = ("%m/%d/%Y", "%m/%d/%y", "%B %d, %Y", "%b %d, %Y", "%d %B %Y", "%d %b %Y", "%Y%m%d")
STATUSES = ("active", "inactive", "defunct", "temporarily closed")
_STATUS_WORDS = {
    "open": "active",
    "current": "active",
    "closed": "inactive",
    "suspended": "temporarily closed",
    "temporarily-closed": "temporarily closed",
    "temporarily_closed": "temporarily closed",
}
OLDEST = 130
"""Years of age past which a limit is a placeholder ("999") and no limit."""


def text(value: object) -> Cleaned:
    """Trimmed text without HTML entities, tags, control characters or doubled encoding."""
    if value is None:
        return None, None
    if isinstance(value, str) and _is_clean(value):
        return value or None, None
    if isinstance(value, bool):
        return ("true" if value else "false"), None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int | float):
        return str(value), None
    if not isinstance(value, str):
        return None, "is no text; left out"
    found = value.strip()
    reasons = ["white space around it removed"] if found != value and found else []
    if _MOJIBAKE.search(found):
        found, mended = _unscramble(found)
        if mended:
            reasons.append("letters scrambled by a wrong encoding restored")
    for step, reason in (
        (_without_entities, "HTML entities written out"),
        (_without_tags, "HTML tags removed"),
        (printable, "control characters removed"),
    ):
        stepped = step(found)
        if stepped != found:
            found = stepped.strip()
            reasons.append(reason)
    return found or None, "; ".join(reasons) or None


def _is_clean(value: str) -> bool:
    """Whether there is surely nothing to mend: so are nine cells of ten, and this looks soon."""
    return (
        value.isascii()
        and value.isprintable()
        and "&" not in value
        and "<" not in value
        and value[:1] != " "
        and value[-1:] != " "
    )


def name(value: object) -> Cleaned:
    """`text` on one line, without characters that cannot be seen or turn text around."""
    found, reason = text(value)
    if not isinstance(found, str):
        return found, reason
    plain = made_plain(found)
    if plain != found:
        unseen = "line ends, unseen or direction characters removed"
        reason = f"{reason}; {unseen}" if reason else unseen
    return plain or None, reason


def _unscramble(value: str) -> tuple[str, bool]:
    try:
        return value.encode("cp1252").decode("utf-8"), True
    except UnicodeError:
        return value, False


def _without_entities(value: str) -> str:
    for _ in range(3):  # "&amp;amp;" has been escaped more than once
        if not _ENTITY.search(value):
            break
        value = html.unescape(value)
    return value.replace("\u00a0", " ")


def _without_tags(value: str) -> str:
    return re.sub(r"[ \t]{2,}", " ", _TAG.sub(" ", value)) if _TAG.search(value) else value


def _plain(value: object) -> str:
    found, _ = text(value)
    return str(found) if found is not None else ""


def email(value: object) -> Cleaned:
    """One e-mail address; of several the first; what is none is left out."""
    given = _plain(value)
    if not given:
        return None, None
    if _EMAIL.fullmatch(given):
        return given, None
    match = _EMAIL.search(given)
    if match is None:
        return None, f"is no e-mail address ({given[:80]}); left out"
    return match[0], "only the first e-mail address kept"


def url(value: object) -> Cleaned:
    """An http or https address; "www.example.org" gets its scheme; other schemes are left out."""
    given = _plain(value)
    if not given:
        return None, None
    candidate = given.split()[0].rstrip(",;")
    slashed = re.sub(r"^(https?)[:;]/{0,3}", r"\1://", candidate, flags=re.IGNORECASE)
    if _HOST.fullmatch(slashed) and "@" not in slashed.partition("/")[0]:
        slashed = f"http://{slashed}"
    try:
        parts = urlsplit(slashed)
        good = parts.scheme.lower() in ("http", "https") and "." in (parts.hostname or "")
    except ValueError:
        good = False
    if not good or "@" in parts.netloc:
        return None, f"is no web address ({given[:80]}); left out"
    return slashed, (None if slashed == given else "web address put in order")


def time(value: object) -> Cleaned:
    """ "9:00am" → "09:00"; seconds are dropped, an offset is kept ("09:00-05:00")."""
    given = _plain(value)
    if not given:
        return None, None
    found = {"noon": "12:00", "midnight": "00:00", "12 noon": "12:00"}.get(given.lower())
    match = _TIME.fullmatch(given) if found is None else None
    if match is not None:
        found = _clock(match)
    if found is None:
        return None, f"is no time of day ({given[:40]}); left out"
    same = given.removesuffix(":00") == found or given == found
    same = same or re.sub(r":\d{2}(?:\.\d+)?(?=[zZ+-]|$)", "", given, count=1) == found
    return found, (None if same else f"time of day {given!r} put as {found}")


def _clock(match: re.Match[str]) -> str | None:
    hour, minute = int(match[1]), int(match[2] or 0)
    bare = match[2] is None and match[4] is None
    if match[4]:
        if not 1 <= hour <= 12:
            # "13:00 pm" says the same thing twice
            if not (match[4].lower() == "p" and hour < 24):
                return None
        else:
            hour = hour % 12 + (12 if match[4].lower() == "p" else 0)
    if hour == 24 and minute == 0:
        hour = 0
    if bare or hour > 23 or minute > 59:
        return None
    offset = (match[5] or "").upper()
    if len(offset) == 5:
        offset = f"{offset[:3]}:{offset[3:]}"
    return f"{hour:02d}:{minute:02d}{offset}"


def day(value: object) -> Cleaned:
    """An ISO date; other common spellings are turned into one (month before day)."""
    given = _plain(value)
    if not given:
        return None, None
    match = _ISO_DATE.fullmatch(given)
    if match:
        try:
            return date.fromisoformat(match[1]).isoformat(), None
        except ValueError:
            return None, f"is no date ({given[:40]}); left out"
    for pattern in _DATE_FORMATS:
        try:
            found = datetime.strptime(given, pattern).date().isoformat()  # noqa: DTZ007
        except ValueError:
            continue
        return found, f"date {given!r} put as {found}"
    return None, f"is no date ({given[:40]}); left out"


def moment(value: object) -> Cleaned:
    """A date and time as given, if ISO 8601 can be read in it."""
    given = _plain(value)
    if not given:
        return None, None
    try:
        datetime.fromisoformat(given)
    except ValueError:
        return None, f"is no date and time ({given[:40]}); left out"
    return given, None


def year(value: object) -> Cleaned:
    """The year of a date."""
    given = _plain(value)
    if not given:
        return None, None
    match = re.search(r"\b(1[5-9]\d{2}|20\d{2})\b", given)
    if match is None:
        return None, f"holds no year ({given[:40]}); left out"
    return int(match[0]), (None if match[0] == given else f"year taken from {given[:40]!r}")


def number(value: object) -> Cleaned:
    """A finite number; a whole one as int."""
    if isinstance(value, bool):
        return None, "is no number; left out"
    given = _plain(value)
    if not given:
        return None, None
    try:
        found = float(given.replace(",", ".") if given.count(",") == 1 else given)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        return None, f"is no number ({given[:40]}); left out"
    return (int(found) if found.is_integer() else found), None


def age(value: object) -> Cleaned:
    """An age limit in years; only a structured number counts, never words."""
    found, reason = number(value)
    if isinstance(found, int | float) and not 0 <= found <= OLDEST:
        return None, f"is no age ({found}); left out"
    return found, reason


def quantity(value: object) -> Cleaned:
    """A count of places or things: a number from 0 to a thousand million."""
    found, reason = number(value)
    if isinstance(found, int | float) and not 0 <= found <= 1_000_000_000:
        return None, "is no quantity; left out"
    return found, reason


def status(value: object) -> Cleaned:
    """HSDS's four. Empty is active: HSDS requires a status and a directory lists what is offered.

    A word that HSDS does not know is inactive, so that nothing is offered by mistake.
    """
    given = _plain(value).lower()
    if not given and value and isinstance(value, list | dict):
        return "inactive", "status is no text, taken as inactive; nothing is offered"
    if not given:
        return "active", "empty status taken as active"
    if given in STATUSES:
        return given, (None if given == value else "status put in HSDS's spelling")
    if given in _STATUS_WORDS:
        return _STATUS_WORDS[given], f"status {given!r} put as {_STATUS_WORDS[given]!r}"
    return "inactive", f"unknown status {given[:40]!r} taken as inactive; nothing is offered"


def phone(value: object) -> Cleaned:
    """A telephone number as written; without digits it is none."""
    given = _plain(value)
    found = given.strip("\"' ")
    if sum(character.isdigit() for character in found) < 3:
        return None, None if not given else f"is no telephone number ({given[:40]}); left out"
    return found, (None if found == value or isinstance(value, int) else "quotes or spaces removed")


_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_BYDAY = re.compile(r"[+-]?\d{0,2}(?:MO|TU|WE|TH|FR|SA|SU)")


def byday(value: object) -> Cleaned:
    """RFC 5545 days ("MO,WE"); names and ISO numbers (1 is Monday, 0 and 7 Sunday) are turned."""
    items = value if isinstance(value, list) else re.split(r"[,;/\s]+", _plain(value))
    given = [str(item).strip() for item in items if str(item).strip()]
    if not given:
        return None, None
    found = [_day(item) for item in given]
    if None in found:
        return None, f"holds a day that is none ({','.join(given)[:40]}); left out"
    days = ",".join(item for item in found if item)
    return days, (None if days == value else f"days {','.join(given)!r} put as {days}")


def _day(given: str) -> str | None:
    if given in ("0", "1", "2", "3", "4", "5", "6", "7"):
        return _DAYS[(int(given) - 1) % 7]
    upper = given.upper()
    if _BYDAY.fullmatch(upper):
        return upper
    short = upper[:2]
    names = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
    known = any(len(upper) > 2 and name.startswith(upper.rstrip("S.")) for name in names)
    return short if known else None
