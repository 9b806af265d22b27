"""A path or bytes → the files in it, within limits. Nothing is unpacked to disk."""

import io
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from partner_svc.directory.model import DirectoryRefused

MAX_TOTAL_BYTES = 256 * 1024 * 1024
MAX_FILES = 20_000
MAX_RATIO = 200
FREE_GROWTH = 64 * 1024 * 1024
"""A zip entry that grows more than `MAX_RATIO` (CSV: 5 to 20), past this many bytes, is taken for
a bomb. Up to there a sheet of a million blank rows, which Excel saves, may grow a thousandfold."""

READABLE = (".csv", ".json", ".ndjson", ".jsonl")
TERMS_NAME = "handoff-terms.yaml"
"""A folder or a zip may bring its own mapping of terms under this name."""
_CHUNK = 1 << 20
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ValueError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    KeyError,
    IndexError,
    EOFError,
    OSError,
)
"""What zipfile raises on a damaged archive, found by damaging some."""


def load_files(source: Path | bytes) -> dict[str, bytes]:
    """The readable files and a mapping of terms, by their path inside with forward slashes.

    A single file has its own name; ``bytes`` that are no zip have the name ``""``.
    Raises `DirectoryRefused` for what is absent, too large, a bomb, or points outside.
    """
    if isinstance(source, bytes):
        if len(source) > MAX_TOTAL_BYTES:
            raise _too_large("the file")
        return _from_zip(source, "the file") if _is_zip(source) else {"": source}
    if source.is_dir():
        return _from_folder(source)
    if not source.exists():
        raise DirectoryRefused(f"{source}: no such file or folder")
    if not source.is_file():
        raise DirectoryRefused(f"{source}: is neither a file nor a folder")
    if source.stat().st_size > MAX_TOTAL_BYTES:
        raise _too_large(source.name)
    content = _read(source, source.name)
    return _from_zip(content, source.name) if _is_zip(content) else {source.name: content}


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DirectoryRefused(f"{name}: cannot be read: {error.strerror}") from error


def _is_zip(content: bytes) -> bool:
    return content[:4] in (b"PK\x03\x04", b"PK\x05\x06")


def _too_large(name: str) -> DirectoryRefused:
    return DirectoryRefused(f"{name}: larger than {MAX_TOTAL_BYTES // (1024 * 1024)} MiB")


def _too_many() -> DirectoryRefused:
    return DirectoryRefused(f"holds more than {MAX_FILES} files")


def _from_folder(folder: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    total = 0
    root = folder.resolve()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not _wanted(name) or not path.is_file():
            continue
        if not path.resolve().is_relative_to(root):
            raise DirectoryRefused(f"{name}: is a link that leads out of the folder")
        total += path.stat().st_size
        if total > MAX_TOTAL_BYTES:
            raise _too_large(folder.name)
        if len(files) >= MAX_FILES:
            raise _too_many()
        files[name] = _read(path, name)
    return files


def _wanted(name: str) -> bool:
    path = PurePosixPath(name)
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return (path.suffix.lower() in READABLE or path.name == TERMS_NAME) and not hidden


def _from_zip(content: bytes, name: str) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if any(entry.filename == "[Content_Types].xml" for entry in entries):
                raise DirectoryRefused(
                    f"{name}: is an office document; save each sheet as CSV and give the folder"
                )
            if len(entries) > MAX_FILES:
                raise _too_many()
            return _unpack(archive, entries)
    except _DAMAGE as error:
        raise DirectoryRefused(f"{name}: the zip is damaged or of a kind not read here") from error


def _unpack(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    left = MAX_TOTAL_BYTES
    for entry in sorted(entries, key=lambda entry: entry.filename):
        entry_name = entry.filename.replace("\\", "/")
        path = PurePosixPath(entry_name)
        if path.is_absolute() or ".." in path.parts or ":" in entry_name:
            raise DirectoryRefused(f"{entry_name}: points outside of the zip")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise DirectoryRefused(f"{entry_name}: is a link; a zip of plain files is wanted")
        if entry_name.endswith("/") or not _wanted(entry_name):
            continue
        if entry.flag_bits & 0x1:
            raise DirectoryRefused(f"{entry_name}: is encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DirectoryRefused(f"{entry_name}: packed in a way not read here; use plain zip")
        if entry_name in files:
            raise DirectoryRefused(f"{entry_name}: stands twice in the zip")
        files[entry_name] = _inflate(archive, entry, left)
        left -= len(files[entry_name])
    return files


def _inflate(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int) -> bytes:
    """Read in chunks and count: the sizes in a zip's own table may lie."""
    limit = max(entry.compress_size * MAX_RATIO, FREE_GROWTH)
    content = bytearray()
    with archive.open(entry) as file:
        while chunk := file.read(_CHUNK):
            content += chunk
            if len(content) > left:
                raise _too_large("the zip, unpacked,")
            if len(content) > limit:
                raise DirectoryRefused(f"{entry.filename}: grows too much when unpacked")
    return bytes(content)
