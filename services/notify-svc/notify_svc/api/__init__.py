"""Notify's HTTP: parse, call a handler, answer."""

from fastapi import APIRouter

from notify_svc.api import deliveries, feed, preferences, webhooks
from notify_svc.api.parts import Parts


def routers(parts: Parts) -> list[APIRouter]:
    """Everything under /notify/v1: of each caller its own."""
    return [
        feed.router(parts),
        preferences.router(parts),
        webhooks.router(parts),
        deliveries.router(parts),
    ]


__all__ = ["Parts", "routers"]
