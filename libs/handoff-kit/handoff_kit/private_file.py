"""Files of keys: JSON of mode 0600, never half written, read again when replaced."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def write_new(path: Path, content: dict[str, Any]) -> None:
    """Write a file that is not there yet. Raises: FileExistsError, OSError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else changes *path* meanwhile: of two who read it and put a key before the others, the
    second would take away the first one's, and with it all that it wrapped. Raises: OSError.
    """
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def replace(path: Path, content: dict[str, Any]) -> None:
    """Put another file in the place of *path*, of the same owner: readers see one or the other.

    To be called while it is `locked`. Raises: OSError; then the old one is there as it was.
    """
    before = path.stat()
    staged = path.with_name(path.name + ".new")
    staged.unlink(missing_ok=True)
    write_new(staged, content)
    if os.geteuid() == 0:
        os.chown(staged, before.st_uid, before.st_gid)
    staged.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Watched:
    """Tells when another file has taken the place of the one that was read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None

    def changed(self) -> bool:
        """Whether it is another file than at the last call; True at the first one.

        While there is none, what was read last stays as it is.
        """
        seen = self._seen
        with contextlib.suppress(OSError):
            found = self._path.stat()
            self._seen = found.st_ino, found.st_mtime_ns
        return self._seen != seen or seen is None
