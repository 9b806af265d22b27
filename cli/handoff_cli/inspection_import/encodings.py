"""Is the file text in the encoding that the map says, and if not, in which?"""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from handoff_cli.inspection_import.errors import ImportRefused

CHUNK = 1 << 20

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
ZIP = b"PK\x03\x04"
OLE = b"\xd0\xcf\x11\xe0"
OLD_EXCEL = "an old Excel file (.xls), or one under a password; save the sheet as .xlsx or CSV"
_MAGIC = (
    (ZIP, "a zip or Excel file; for a sheet of Excel the map says 'format: xlsx', else unpack it"),
    (OLE, OLD_EXCEL),
    (b"%PDF", "a PDF; export the rows as CSV or JSON"),
    (b"\x1f\x8b", "gzip-compressed; unpack it first"),
)
_NOT_IN_1252 = frozenset(b"\x81\x8d\x8f\x90\x9d")
_C1 = bytes(range(0x80, 0xA0))
_OLDER = frozenset({"cp1252", "mac_roman"})
_MIXED = 10
"""With more than one part in so many of a file's characters UTF-8, the others are the mistake: an
older text looks like UTF-8 only now and then."""
_MOST_NULS = 0.1
"""The part of a text's bytes that may be NUL, as a broken field or the end of a file may be."""


@dataclass
class _Seen:
    """What one pass over the bytes has found."""

    size: int = 0
    blank: bool = True
    ascii: bool = True
    utf8: bool = True
    first_bad_line: int = 0
    c1: bool = False
    windows: bool = True
    nul_even: int = 0
    nul_odd: int = 0
    first_nul_line: int = 0

    @property
    def nuls(self) -> int:
        return self.nul_even + self.nul_odd


def codec_for(path: Path, declared: str) -> str:
    """The codec to open the file with.

    One pass over the bytes, in constant memory. Raises `ImportRefused` for a file that is empty,
    no text, or in another encoding than ``declared``; then it says which fits.
    """
    head = _head(path)
    for magic, what in _MAGIC:
        if head.startswith(magic):
            raise ImportRefused(path, f"is {what}")
    seen = _look(path)
    if seen.blank:
        raise ImportRefused(path, "is empty")
    name = codecs.lookup(declared).name.removesuffix("-sig")
    marked = next((codec for bom, codec in _BOMS if head.startswith(bom)), None)
    narrow = name in {"utf-8", "ascii"}
    if marked is not None:
        if not name.startswith(marked):
            raise _wrong(path, declared, marked, 0)
        if marked != "utf-8":
            name = declared = marked  # The mark says which end comes first, and is no text.
    actual = None
    if marked in {None, "utf-8"} and seen.nuls and not name.startswith(("utf-16", "utf-32")):
        actual = _wide(seen)
        if actual is None and (seen.nuls > _MOST_NULS * seen.size or (narrow and not seen.utf8)):
            raise ImportRefused(
                path, "is no text but a binary file; export it as CSV or JSON", seen.first_nul_line
            )
    if marked in {None, "utf-8"} and actual is None:
        actual = _other_than(name, seen)
    if actual is not None and actual != name:
        if narrow and actual in _OLDER:
            raise _not_utf8(path, declared, seen, actual)
        raise _wrong(path, declared, actual, seen.first_bad_line if name == "utf-8" else 0)
    _try(path, declared, name, seen)
    return "utf-8-sig" if name in {"utf-8", "ascii"} else declared


def position(file: TextIO) -> int:
    """Bytes of the file that were read so far."""
    return file.buffer.tell()


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise ImportRefused(path, f"cannot be read: {error.strerror}") from error


def _chunks(path: Path) -> Iterator[bytes]:
    """The file's bytes in pieces, an empty one at the end."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
    yield b""


def _look(path: Path) -> _Seen:
    seen = _Seen()
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines = 1
    for chunk in _chunks(path):
        if not chunk.isascii():
            seen.ascii = False
            seen.c1 = seen.c1 or len(chunk) != len(chunk.translate(None, _C1))
            if seen.windows and len(chunk) != len(chunk.translate(None, bytes(_NOT_IN_1252))):
                seen.windows = False
        if b"\0" in chunk:
            if not seen.nuls:
                seen.first_nul_line = lines + chunk[: chunk.index(b"\0")].count(b"\n")
            start = seen.size % 2
            seen.nul_even += chunk[start::2].count(0)
            seen.nul_odd += chunk[1 - start :: 2].count(0)
        seen.blank = seen.blank and not chunk.strip(b"\xef\xbb\xbf \t\r\n\0")
        seen.size += len(chunk)
        if seen.utf8:
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                seen.utf8 = False
                seen.first_bad_line = lines + error.object[: error.start].count(b"\n")
        lines += chunk.count(b"\n")
    return seen


def _wide(seen: _Seen) -> str | None:
    """UTF-16 without a mark has a NUL in about every other byte, on one side only."""
    if seen.nul_odd > 0.3 * seen.size and not seen.nul_even:
        return "utf-16-le"
    if seen.nul_even > 0.3 * seen.size and not seen.nul_odd:
        return "utf-16-be"
    return None


def _other_than(name: str, seen: _Seen) -> str | None:
    """The encoding that fits where ``name`` certainly does not, else None."""
    narrow_utf8 = seen.utf8 and not seen.nuls
    if name.startswith(("utf-16", "utf-32")):
        return "utf-8" if narrow_utf8 else None
    if name == "utf-8":
        return None if seen.utf8 else _legacy(seen)
    if seen.ascii:
        return None
    if narrow_utf8:
        return "utf-8"
    if name == "ascii" or (name == "iso8859-1" and seen.c1):
        return _legacy(seen)
    return None


def _legacy(seen: _Seen) -> str:
    """Of the encodings older than Unicode, the likeliest."""
    if seen.windows:
        return "cp1252"
    return "mac_roman"


def _wrong(path: Path, declared: str, fits: str, line: int) -> ImportRefused:
    advice = f"'{fits}' fits: put 'encoding: {fits}' into the map"
    return ImportRefused(path, f"is not {declared} text; {advice}", line or None)


@dataclass
class _Breaks:
    """Where a file is no UTF-8: how often, and where first; and how often it is, beyond ASCII."""

    bad: int = 0
    good: int = 0
    byte: int = 0
    column: int = 0


def _breaks(path: Path) -> _Breaks:
    """By a second pass, line by line, since the file is refused anyway."""
    found = _Breaks()
    with path.open("rb") as file:
        while line := file.readline(CHUNK):
            if line.isascii():
                continue
            try:
                found.good += sum(not c.isascii() for c in line.decode())
            except UnicodeDecodeError as error:
                if not found.bad:
                    found.byte, found.column = line[error.start], error.start + 1
                found.bad += 1
                found.good += sum(not c.isascii() for c in line.decode(errors="ignore"))
    return found


def _not_utf8(path: Path, declared: str, seen: _Seen, older: str) -> ImportRefused:
    """What is neither UTF-8 nor wholly of an older encoding is said to be mixed."""
    found = _breaks(path)
    if found.good * _MIXED < found.bad and older == "cp1252":
        return _wrong(path, declared, older, seen.first_bad_line)
    where = f"byte {found.column} of the line is 0x{found.byte:02X}"
    if found.good * _MIXED >= found.bad:
        message = (
            f"is not {declared} text here ({where}), although other characters of the file are; "
            "it mixes encodings, so no one encoding fits: export it anew, or mend such lines"
        )
    else:
        message = (
            f"is not {declared} text here ({where}), nor cp1252; find out in which encoding it was "
            "written and name it as 'encoding' in the map, or export it as UTF-8"
        )
    return ImportRefused(path, message, seen.first_bad_line)


def _try(path: Path, declared: str, name: str, seen: _Seen) -> None:
    """Decode the whole file once, where the pass over its bytes has not yet settled it.

    Raises `ImportRefused` with the line and byte at which it breaks.
    """
    if name == "utf-8" or seen.ascii:
        return
    decoder = codecs.getincrementaldecoder(declared)()
    lines = size = 0
    chunk = b""
    try:
        for chunk in _chunks(path):
            decoder.decode(chunk, final=not chunk)
            lines += chunk.count(b"\n")
            size += len(chunk)
    except UnicodeError as error:
        if seen.utf8 or not isinstance(error, UnicodeDecodeError):
            fits = "utf-8" if seen.utf8 else _legacy(seen)
            raise _wrong(path, declared, fits, 0) from error
        # What the decoder kept of the piece before stands in front of this one.
        at = error.start - (len(error.object) - len(chunk))
        message = (
            f"is not {declared} text here (byte {size + at + 1} of the file is "
            f"0x{error.object[error.start]:02X}); "
            "it may be cut off, mix encodings, or be in another one"
        )
        line = lines + chunk[: max(at, 0)].count(b"\n") + 1
        raise ImportRefused(path, message, line) from error
