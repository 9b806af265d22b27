"""Ids of the demo city: UUIDv5 of the URL namespace, so that its files agree without a table."""

from uuid import NAMESPACE_URL, UUID, uuid5

CITY = "demo"
AGENCY = "demo-city"
SOURCE = "demo-city"
"""Name of the directory's feed."""


def demo_id(kind: str, name: str) -> UUID:
    """Id of a thing of the demo city: ``demo_id("service", "home-delivery")``."""
    return uuid5(NAMESPACE_URL, f"handoff:{CITY}:{kind}:{name}")


def organization_id(slug: str) -> UUID:
    return demo_id("organization", slug)
