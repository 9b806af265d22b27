"""Which events the portal's pages live on; ``domain.follow`` says what each one changes."""

from collections.abc import Callable

from event_schemas.registry import EVENTS
from handoff_kit.consumer import Group

from portal_svc.domain.follow import RULES
from portal_svc.handlers.follow import follow

FOLLOWED = frozenset(event for event in EVENTS if event.TYPE in RULES)


# Seconds: pages may be a moment late, and what people wait for goes first.
LINGER = 0.1


def groups(changed: Callable[[], None]) -> list[Group]:
    """The one group; *changed* is called after each commit."""
    return [Group("portal", FOLLOWED, follow, after=changed, linger=LINGER)]
