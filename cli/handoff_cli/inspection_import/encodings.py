"""Is the file text in the encoding that the map says, and if not, in which?"""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from handoff_cli.inspection_import.errors import ImportRefused

CHUNK = 1 << 20

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MAGIC = (
    (b"PK\x03\x04", "a zip or Excel file; save the sheet as CSV, or unpack it"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file; save the sheet as CSV"),
    (b"%PDF", "a PDF; export the rows as CSV or JSON"),
    (b"\x1f\x8b", "gzip-compressed; unpack it first"),
)
_NOT_IN_1252 = frozenset(b"\x81\x8d\x8f\x90\x9d")
_C1 = bytes(range(0x80, 0xA0))


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
    actual = next((codec for bom, codec in _BOMS if head.startswith(bom)), None)
    if (
        actual is None
        and seen.nul_even + seen.nul_odd
        and not name.startswith(("utf-16", "utf-32"))
    ):
        actual = _wide(seen)
        if actual is None:
            raise ImportRefused(path, "is no text but a binary file; export it as CSV or JSON")
    if actual is None:
        actual = _other_than(name, seen)
    if actual is not None and not name.startswith(actual):
        line = seen.first_bad_line if name == "utf-8" else 0
        raise _wrong(path, declared, actual, line)
    _try(path, declared, name, seen)
    return "utf-8-sig" if name in {"utf-8", "ascii"} else declared


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
    narrow_utf8 = seen.utf8 and not seen.nul_even and not seen.nul_odd
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


def _try(path: Path, declared: str, name: str, seen: _Seen) -> None:
    """Decode the whole file once, where the pass over its bytes has not yet settled it."""
    if name == "utf-8" or seen.ascii:
        return
    decoder = codecs.getincrementaldecoder(declared)()
    try:
        for chunk in _chunks(path):
            decoder.decode(chunk, final=not chunk)
    except UnicodeError as error:
        raise _wrong(path, declared, "utf-8" if seen.utf8 else _legacy(seen), 0) from error
