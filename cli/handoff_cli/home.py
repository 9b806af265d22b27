"""A home: the folder that holds a running Handoff's data, secrets and notes of who runs in it."""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

APP_ROLE = "handoff_app"
DEFAULT_PORT = 8080


class HomeUnusable(RuntimeError):
    """The home cannot be used; the message says what to mend."""


class PortUnusable(HomeUnusable):
    """PORT or HANDOFF_PORT is no port; the message names the variable."""


def port_of_environment() -> int:
    """``PORT``, else ``HANDOFF_PORT``, else 8080. Raises: PortUnusable."""
    for name in ("PORT", "HANDOFF_PORT"):
        given = os.environ.get(name)
        if given:
            if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= 65535:
                raise PortUnusable(f"{name} is '{given}', which is no port (1 to 65535)")
            return int(given)
    return DEFAULT_PORT


@dataclass(frozen=True)
class Home:
    """Paths in a home. ``secrets`` is mode 0700, every file in it 0600."""

    folder: Path

    @staticmethod
    def from_environment() -> "Home":
        """``HANDOFF_HOME``, else ``var`` in the current folder."""
        return Home(Path(os.environ.get("HANDOFF_HOME") or "var").absolute())

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def signing_keys(self) -> Path:
        return self.secrets / "signing_keys.json"

    @property
    def key_file(self) -> Path:
        return self.secrets / "key_file.json"

    @property
    def running(self) -> Path:
        """Who runs here now: pids, port and address, as JSON."""
        return self.folder / "running.json"

    def prepare(self) -> None:
        """Make folders and whatever secret is missing; nothing that is there is changed.

        Raises: HomeUnusable when the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.secrets.mkdir(mode=0o700, exist_ok=True)
            self.logs.mkdir(exist_ok=True)
        except OSError as error:
            raise HomeUnusable(
                f"{self.folder} cannot be written ({error.strerror}); set HANDOFF_HOME"
            ) from error
        if not self.signing_keys.exists():
            from handoff_kit.auth import create_signing_keys

            create_signing_keys(self.signing_keys)
        if not self.key_file.exists():
            from handoff_kit.crypto import create_key_file

            create_key_file(self.key_file)

    def secret(self, name: str) -> str:
        """A random secret kept in a file of this name; made when it is not there."""
        path = self.secrets / name
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            value = secrets.token_urlsafe(32)
            write_private(path, value + "\n")
            return value

    def administrative_url(self) -> str:
        """Address of the database for its owner.

        Raises: HomeUnusable when nothing has been started here.
        """
        try:
            return (self.secrets / "database_url").read_text().strip()
        except FileNotFoundError:
            raise HomeUnusable(
                f"nothing has been started in {self.folder}; start it with: make up"
            ) from None

    def who_runs(self) -> Mapping[str, object] | None:
        """What the running supervisor wrote, if it still lives."""
        try:
            found = json.loads(self.running.read_text())
            os.kill(int(found["supervisor"]), 0)
        except (FileNotFoundError, ValueError, KeyError, ProcessLookupError, PermissionError):
            return None
        return dict(found)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    temporary = path.with_suffix(f".{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
