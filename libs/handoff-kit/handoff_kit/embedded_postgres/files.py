"""Secrets and logs as files."""

import os
from pathlib import Path

_LOG_KEPT = 10 * 2**20
"""Bytes after which a log is set aside as `….log.1` at the next start."""


def write_secret(path: Path, content: str) -> None:
    """Whole or not at all, of mode 0600 from its first byte."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def set_aside(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LOG_KEPT:
        log.rename(log.with_name(log.name + ".1"))


def tail(log: Path, start: int) -> str:
    """The end of what was logged from byte `start` on, at most 4000 bytes."""
    with log.open("rb") as file:
        file.seek(max(start, log.stat().st_size - 4000))
        return file.read().decode(errors="replace").strip()
