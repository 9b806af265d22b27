"""How many exchanges an endpoint may have in flight: as many as it keeps up with.

One that answers soon gets more at once, so that what is due for it is taken as larger sets; one
that is slow or fails is back at few, and takes no room from the others.
"""

from typing import Final
from uuid import UUID

FEW: Final = 4
SOON: Final = 0.5  # seconds


class Windows:
    """Windows by endpoint. None is larger than *most*; an unknown endpoint has `FEW`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._few = min(FEW, most)
        self._open: dict[UUID, int] = {}

    def of(self, endpoint_id: UUID) -> int:
        return self._open.get(endpoint_id, self._few)

    def known(self) -> frozenset[UUID]:
        """Endpoints with more than a few."""
        return frozenset(self._open)

    def note(self, endpoint_id: UUID, *, succeeded: bool, seconds: float) -> None:
        """An exchange took *seconds*: one more after each that went well, else few again."""
        if succeeded and seconds <= SOON:
            self._open[endpoint_id] = min(self.of(endpoint_id) + 1, self._most)
        else:
            self._open.pop(endpoint_id, None)
