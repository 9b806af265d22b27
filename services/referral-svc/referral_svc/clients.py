"""What referral asks of intake, which alone holds notes and knows what belongs to which property.

Never inside a transaction.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from handoff_kit.errors import Invalid, NotVisible, Unavailable


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote a note: organization, roles and subject of the token."""

    organization_id: UUID | None
    roles: tuple[str, ...]
    subject: str

    def as_json(self) -> dict[str, Any]:
        return {
            "organization_id": str(self.organization_id) if self.organization_id else None,
            "roles": list(self.roles),
            "subject": self.subject,
        }


class Intake:
    """Intake's service calls; *auth* brings referral's own token. All raise Unavailable."""

    def __init__(self, http: httpx.AsyncClient, url: str, auth: httpx.Auth | None) -> None:
        self._http = http
        self._auth = auth
        self._url = url.rstrip("/") + "/intake/v1"

    async def seal_note(
        self, note_id: UUID, case_id: UUID, kind: str, text: str, author: Author
    ) -> None:
        """Have *text* sealed under *note_id*; the same id again changes nothing.

        Raises NotVisible where intake knows no such case, Invalid where it refuses the text.
        """
        body = {
            "note_id": str(note_id),
            "case_id": str(case_id),
            "kind": kind,
            "text": text,
            "author": author.as_json(),
        }
        await self._post("/notes", body)

    async def cases_of(self, what: Mapping[str, str]) -> list[UUID]:
        """The cases of a ``property_id``, an ``inspection_id`` or a ``source_id``."""
        try:
            found = await self._post("/links", what)
        except NotVisible:
            return []
        return [UUID(id_) for id_ in found.get("case_ids", [])]

    async def properties_of(self, cases: Iterable[UUID]) -> dict[UUID, UUID]:
        """The property of each of these cases, as far as intake knows one."""
        found = await self._post("/links", {"case_ids": [str(id_) for id_ in cases]})
        return {
            UUID(case_id): UUID(link["property_id"])
            for case_id, link in found.items()
            if link.get("property_id")
        }

    async def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        try:
            response = await self._http.post(
                self._url + path, json=body, auth=self._auth or httpx.USE_CLIENT_DEFAULT
            )
        except httpx.HTTPError:
            raise Unavailable("intake cannot be reached now; try again") from None
        if response.status_code == 404:
            raise NotVisible
        if response.status_code == 422:
            raise Invalid("intake did not take this")
        if response.status_code >= 400:
            raise Unavailable("intake cannot answer now; try again")
        return dict(response.json()) if response.content else {}
