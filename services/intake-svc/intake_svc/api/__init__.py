"""Intake over HTTP: parse, hand a command to its doorway, answer."""

from fastapi import APIRouter

from intake_svc.api import consents, inspections, internal, referrals
from intake_svc.api.parts import Parts


def routers(parts: Parts) -> list[APIRouter]:
    """All operations under /intake/v1."""
    return [
        inspections.router(parts),
        referrals.router(parts),
        consents.router(parts),
        internal.router(parts),
    ]


__all__ = ["Parts", "routers"]
