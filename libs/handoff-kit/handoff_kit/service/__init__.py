"""A service as the kit runs it: ``api``, ``worker``, ``migrate``, alone or several together.

The all-in-one is these same functions over every service at once; nothing here knows a service.
"""

from handoff_kit.consumer import Group
from handoff_kit.service.api import dispatcher, run_api, serve
from handoff_kit.service.command import main, run_migrate, stop_on_signals
from handoff_kit.service.model import Built, Context, Loop, Periodic, Service
from handoff_kit.service.stage import Stage
from handoff_kit.service.worker import run_worker
from handoff_kit.settings import SERVICES

__all__ = [
    "SERVICES",
    "Built",
    "Context",
    "Group",
    "Loop",
    "Periodic",
    "Service",
    "Stage",
    "dispatcher",
    "main",
    "run_api",
    "run_migrate",
    "run_worker",
    "serve",
    "stop_on_signals",
]
