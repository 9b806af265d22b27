"""The two children of the all-in-one: ``python -m handoff_cli.processes doorway|worker``.

The same functions as a service's own ``api`` and ``worker``, over all services in one process.
"""

import ctypes
import os
import signal
import sys

from handoff_kit.service import main

from handoff_cli.services import all_services

_PR_SET_PDEATHSIG = 1
_COMMANDS = {"doorway": "api", "worker": "worker", "migrate": "migrate"}


def end_with_parent(parent: int) -> None:
    """Ask the kernel for SIGTERM when the supervisor dies, kill -9 included."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # It died before we asked.
        sys.exit(1)


def run(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in _COMMANDS:
        sys.stderr.write("usage: doorway | worker | migrate\n")
        return 2
    parent = os.environ.get("HANDOFF_SUPERVISOR_PID")
    if parent:
        end_with_parent(int(parent))
    return main(all_services(), [_COMMANDS[arguments[0]]])


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
