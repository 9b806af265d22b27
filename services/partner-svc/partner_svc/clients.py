"""What partner asks of intake, which alone holds facts and notes. Never inside a transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import httpx
from handoff_kit.errors import NotVisible, Unavailable

from partner_svc.domain.offers import Offer

PURPOSE: Final = "referral-and-service"
ROUTE: Final = "api"


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads or writes: an organization, the roles and the subject of the token."""

    organization_id: UUID
    roles: tuple[str, ...]
    subject: str

    def as_json(self) -> dict[str, Any]:
        return {
            "organization_id": str(self.organization_id),
            "roles": list(self.roles),
            "subject": self.subject,
        }


class Intake:
    """Intake's service calls. *auth* brings partner's own token.

    All raise NotVisible (404: there is no valid consent, or no such thing) and Unavailable.
    """

    def __init__(self, http: httpx.AsyncClient, url: str, auth: httpx.Auth | None) -> None:
        self._http = http
        self._auth = auth
        self._url = url.rstrip("/") + "/intake/v1"

    async def seal_note(
        self, note_id: UUID, offer: Offer, kind: str, text: str, author: Reader
    ) -> None:
        """Have *text* sealed under *note_id*; the same id again changes nothing."""
        await self._post(
            "/notes",
            {
                "note_id": str(note_id),
                "case_id": str(offer.case_id),
                "need_id": str(offer.need_id),
                "kind": kind,
                "text": text,
                "author": author.as_json(),
            },
        )

    async def disclose(self, offer: Offer, reader: Reader) -> dict[str, Any]:
        """The covered facts of the offer's resident and the id of the disclosure written."""
        return await self._post("/disclosures", self._disclosure(offer, reader))

    async def read_property(
        self, offer: Offer, reader: Reader, *, with_findings: bool
    ) -> dict[str, Any]:
        """Address, unit, parcel and access note; a resident's as far as the consent covers it."""
        if offer.property_id is not None:
            asked: dict[str, Any] = {"property_id": str(offer.property_id)}
        else:
            asked = self._disclosure(offer, reader)
        return await self._post("/properties/read", asked | {"with_findings": with_findings})

    @staticmethod
    def _disclosure(offer: Offer, reader: Reader) -> dict[str, Any]:
        return {
            "offer_id": str(offer.id),
            "case_id": str(offer.case_id),
            "consent_id": str(offer.consent_id),
            "organization_id": str(offer.organization_id),
            "category": offer.category.value,
            "purpose": PURPOSE,
            "route": ROUTE,
            "reader": reader.as_json(),
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
        if response.status_code >= 400:
            # Our own mistake or its trouble; either way the caller did nothing wrong.
            raise Unavailable("intake cannot answer now; try again")
        return dict(response.json()) if response.content else {}
