"""Table of contents: which events referral takes, and where they go."""

from functools import partial

from event_schemas.directory import OrganizationChanged, ServiceCapacityChanged, ServiceChanged
from handoff_kit.consumer import Group

from referral_svc.handlers import consume
from referral_svc.handlers.world import World


def groups(world: World) -> list[Group]:
    """Cases follow intake and partner; the directory has a group of its own, so that an import
    never stands before a family."""
    return [
        Group(
            name="referral",
            events=frozenset(consume.HANDLERS),
            apply=partial(consume.apply_events, world),
        ),
        Group(
            name="referral-directory",
            events=frozenset({OrganizationChanged, ServiceChanged, ServiceCapacityChanged}),
            apply=consume.apply_directory,
        ),
    ]
