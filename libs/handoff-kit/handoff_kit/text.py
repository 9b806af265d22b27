"""What may stand in a name that others read: nothing that cannot be seen, or turns text around.

A name is shown among others on pages and in mails; a direction override in it would turn what
stands beside it, and two names that differ by an unseen character look the same.
"""

import re
import unicodedata

_BREAKS = re.compile(r"[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]")
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
    # Arabic and Indic scripts spell words with joiners; anywhere else nobody sees one.
    "|(?<![\u0600-\u1aff])[\u200c\u200d]"
)


def plain(text: str) -> str:
    """*text* as it is. Raises: ValueError, naming the first character that must not stand there."""
    found = _UNSEEN.search(text)
    if found is None:
        return text
    name = unicodedata.name(found[0], "a control character")
    raise ValueError(
        f"Character {found.start() + 1} is U+{ord(found[0]):04X} ({name}); take it out."
    )


def made_plain(text: str) -> str:
    """*text* without such characters; a line end becomes a space."""
    if not _UNSEEN.search(text):
        return text
    return re.sub(" {2,}", " ", _UNSEEN.sub("", _BREAKS.sub(" ", text))).strip()
