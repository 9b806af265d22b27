"""``python -m handoff_cli.keys FOLDER``: the distributed way's key files, a folder a service.

Each service gets a key file of its own, so that none can open what another sealed; only the portal
gets the keys that sign access tokens. What is there is never changed, so it may run at each start.
"""

import sys
from pathlib import Path

from handoff_kit.auth import create_signing_keys
from handoff_kit.crypto import create_key_file
from handoff_kit.settings import SERVICES

KEY_FILE = "key_file.json"
SIGNING_KEYS = "signing_keys.json"


def make_missing(folder: Path) -> list[Path]:
    """Make what is missing under *folder*, mode 0600; returns what was made.

    Raises: OSError when the folder cannot be written.
    """
    wanted = {folder / service / KEY_FILE: create_key_file for service in SERVICES}
    wanted[folder / "portal" / SIGNING_KEYS] = create_signing_keys
    missing = [path for path in wanted if not path.exists()]
    for path in missing:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        wanted[path](path)
    return missing


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m handoff_cli.keys FOLDER\n")
        return 2
    try:
        for path in make_missing(Path(arguments[0])):
            sys.stdout.write(f"made {path}\n")
    except OSError as error:
        sys.stderr.write(f"{error.filename or arguments[0]} cannot be written: {error.strerror}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
