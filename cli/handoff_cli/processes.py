"""What runs in the children of the all-in-one: all services' APIs, all their work, migrations.

The same functions as a service's own ``api``, ``worker`` and ``migrate``, over all at once.
"""

import gc
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import cast

COMMANDS = {"doorway": "api", "worker": "worker"}


class Preload:
    """Loads every service in a thread, while PostgreSQL starts in a process of its own."""

    def __init__(self) -> None:
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._load, name="preload")
        self._thread.start()

    def _load(self) -> None:
        gc.disable()  # Nothing that is loaded is garbage: a tenth of the time goes to looking.
        # httpx's own command line would bring rich, pygments and click: 6 MB that nobody uses.
        sys.modules.setdefault("httpx._main", cast(ModuleType, None))
        try:
            import uvloop  # noqa: F401 - so that the children share it
            from handoff_kit.service import main  # noqa: F401

            from handoff_cli.services import all_services

            all_services()
        except BaseException as error:  # noqa: BLE001 - told by `wait`
            self._error = error
        finally:
            gc.enable()

    def wait(self) -> None:
        """Until all is loaded and this process has one thread again. Raises: what loading did."""
        self._thread.join()
        if self._error is not None:
            raise self._error


def life_of(name: str) -> Callable[[], int]:
    """The life of the doorway or the worker, to be run in a fork."""

    def run() -> int:
        from handoff_kit.service import main

        from handoff_cli.services import all_services

        sys.argv = ["handoff", name]
        return main(all_services(), [COMMANDS[name]])

    return run
