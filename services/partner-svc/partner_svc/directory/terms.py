"""Terms of a directory → our kinds of need, by a mapping that is data."""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from event_schemas.codes import NeedCategory
from handoff_kit.yamlfile import FileRefused, Misfit, load
from pydantic import BaseModel, ConfigDict, field_validator

from partner_svc.directory.model import DirectoryRefused
from partner_svc.directory.sources import TERMS_NAME

_AIRS_CODE = re.compile(r"[A-Z]{1,2}-\d{4}(?:\.\d{4}(?:-\d{3}(?:\.\d{2,3})?)?)?\*?")
SEPARATOR = ">"
MAX_BYTES = 1 << 20


class TermMap(BaseModel):
    """A mapping file.

    ``terms``: a term's name, or the end of its path with ``>`` between the names ("Housing >
    Emergency Shelter"), → kinds of need; a term that is not named takes its parent's; an empty
    list says that a term stands for no need (for whom a service is, not for what).
    ``codes``: a term's own code → kinds of need; it wins over names.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    licence: str | None = None
    terms: dict[str, tuple[NeedCategory, ...]] = {}
    codes: dict[str, tuple[NeedCategory, ...]] = {}

    @field_validator("terms")
    @classmethod
    def _paths_differ(
        cls, terms: dict[str, tuple[NeedCategory, ...]]
    ) -> dict[str, tuple[NeedCategory, ...]]:
        """Keys are compared as `path_key` writes them; two that become one are an error."""
        found: dict[str, tuple[NeedCategory, ...]] = {}
        for key, needs in terms.items():
            plain = path_key(key.split(SEPARATOR))
            if not plain or plain in found:
                said = "is empty" if not plain else "says the same term as a key above it"
                raise Misfit([((key,), said)])
            found[plain] = needs
        return found

    def needs(self, code: str, path: Sequence[str]) -> tuple[NeedCategory, ...] | None:
        """Kinds of need of a term; None: the mapping does not know it.

        ``path`` runs from the top of the taxonomy to the term.
        """
        if code in self.codes:
            return self.codes[code]
        for end in range(len(path), 0, -1):
            for start in range(end):
                found = self.terms.get(path_key(path[start:end]))
                if found is not None:
                    return found
        return None

    def joined(self, other: "TermMap") -> "TermMap":
        """Both mappings in one; where both name a term, ``other`` has the last word."""
        return TermMap(
            name=f"{self.name}, {other.name}",
            terms=self.terms | other.terms,
            codes=self.codes | other.codes,
        )


def path_key(path: Sequence[str]) -> str:
    """A path as it is compared: lower case, single spaces, one separator."""
    return SEPARATOR.join(" ".join(name.lower().split()) for name in path)


def load_terms(path: Path) -> TermMap:
    """Read a mapping file. Raises `handoff_kit.yamlfile.FileRefused` with the lines to mend."""
    return load(path, TermMap)


def take_terms(files: dict[str, bytes]) -> TermMap | None:
    """Take the mapping that lies in a feed out of its files; None where there is none.

    Raises `DirectoryRefused` for one that is damaged, larger than `MAX_BYTES`, or there twice.
    """
    names = [name for name in files if PurePosixPath(name).name == TERMS_NAME]
    if not names:
        return None
    if len(names) > 1:
        raise DirectoryRefused(f"holds several mappings ({', '.join(names)}); leave one of them")
    content = files.pop(names[0])
    if len(content) > MAX_BYTES:
        raise DirectoryRefused(f"{names[0]}: larger than {MAX_BYTES >> 20} MiB")
    with tempfile.TemporaryDirectory(prefix="handoff-terms-") as folder:
        path = Path(folder, TERMS_NAME)
        path.write_bytes(content)
        try:
            return load_terms(path)
        except FileRefused as refused:
            raise DirectoryRefused(str(refused).replace(f"{folder}/", "")) from None


def is_opaque(taxonomy: str, code: str) -> bool:
    """Whether a term is of the 211/AIRS taxonomy, whose names are licensed: only codes are kept."""
    plain = taxonomy.lower()
    return "airs" in plain or "211" in plain or bool(_AIRS_CODE.fullmatch(code))
