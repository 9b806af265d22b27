"""As whom the server runs: ourselves, or as root somebody else (see `become`)."""

import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from handoff_kit.embedded_postgres import become

_UNPRIVILEGED = "nobody"
_UNPRIVILEGED_ID = 65534


class NoIdentityError(Exception):
    """Neither the unprivileged user nor a user namespace can reach the data folder."""


@dataclass(frozen=True)
class Identity:
    """`owner` is the (uid, gid) that files of the server must have, or None: leave them."""

    mode: str
    uid: int
    gid: int

    @property
    def owner(self) -> tuple[int, int] | None:
        return (self.uid, self.gid) if self.mode in {become.PLAIN, become.REACH} else None

    def command(self, program: Path, *arguments: str, paths: Sequence[Path] = ()) -> list[str]:
        """The command line that runs `program` as this identity, once `paths` can be read."""
        return [
            *(sys.executable, "-I", become.__file__, self.mode, str(self.uid), str(self.gid)),
            os.pathsep.join(str(path) for path in paths or (program,)),
            *("--", str(program), *arguments),
        ]


def choose_identity(program: Path, folder: Path, files: Sequence[Path]) -> Identity:
    """The least privileged identity under which `program` runs and `folder` and `files` are read.

    As root `folder` (of mode 0700) changes hands to the identity tried. Raises NoIdentityError.
    """
    if os.geteuid() != 0:
        return Identity(become.SELF, os.geteuid(), os.getegid())
    try:
        entry = pwd.getpwnam(_UNPRIVILEGED)
        uid, gid = entry.pw_uid, entry.pw_gid
    except KeyError:
        uid = gid = _UNPRIVILEGED_ID
    refused = []
    for mode in (become.PLAIN, become.REACH, become.NAMESPACE):
        identity = Identity(mode, uid, gid)
        try:
            give(folder, identity)
        except OSError as error:
            refused.append(f"{mode}: {error.strerror}")
            continue
        command = identity.command(program, "--version", paths=(folder, *files))
        result = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=False
        )
        if result.returncode == 0:
            return identity
        refused.append(result.stderr.strip())
    raise NoIdentityError("; ".join(refused))


def give(folder: Path, identity: Identity) -> None:
    """Make `folder` and all in it the identity's own, where it is not already; never a parent."""
    owner = identity.owner or (os.geteuid(), os.getegid())
    if os.geteuid() != 0 or (folder.stat().st_uid, folder.stat().st_gid) == owner:
        return
    for path, _, files in os.walk(folder):
        for name in files:
            os.chown(Path(path, name), *owner, follow_symlinks=False)
    # The top folder last: its owner says that all below it was done.
    for path, _, _ in os.walk(folder, topdown=False):
        os.chown(path, *owner, follow_symlinks=False)
