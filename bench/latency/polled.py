"""``python -m bench.latency.polled MODULE ARGUMENTS``: a module of Handoff whose outboxes are
polled every half second, the usual default of an outbox, instead of woken after each commit.

That is the only difference: what is on the log wakes its readers as ever, which is what a broker
does for its consumers. The patch lives in this process and its forks alone; no option of the
product can ask for it.
"""

import runpy
import sys

from handoff_kit import outbox
from handoff_kit.wakes import Wakes

POLL_SECONDS = 0.5
OUTBOX = "outbox:"


def poll() -> None:
    """No commit wakes a relay from here on."""
    outbox.POLL_SECONDS = POLL_SECONDS
    wake = Wakes.wake

    def wake_readers(wakes: Wakes, name: str) -> None:
        if not name.startswith(OUTBOX):
            wake(wakes, name)

    Wakes.wake = wake_readers  # type: ignore[method-assign]


if __name__ == "__main__":
    poll()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
