"""Compiled modules are kept, as on a machine where Handoff has run before.

Some environments forbid Python to write bytecode (``PYTHONDONTWRITEBYTECODE``). Then every process
compiles some 900 modules when it starts, which takes longer than the start itself.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.stand import Stand

# What the measured commands load, and a first start does not.
_COMMANDS = (
    "handoff_cli.main",
    "handoff_cli.api",
    "handoff_cli.directories",
    "handoff_cli.inspections",
    "portal_svc.handlers.clients",
)


@contextmanager
def kept(stand: Stand) -> Iterator[None]:
    """Processes started within write and find their bytecode in the stand's folder."""
    before = dict(os.environ)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(stand.folder / "bytecode")
    try:
        subprocess.run([sys.executable, "-c", f"import {', '.join(_COMMANDS)}"], check=True)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
