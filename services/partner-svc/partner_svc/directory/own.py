"""Handoff's own fields of an organization or a service, as our exports carry them. Pure."""

from dataclasses import replace
from typing import Any

from event_schemas.codes import NeedCategory

from partner_svc.directory.ids import stable_id
from partner_svc.directory.model import Directory, Entity, Row, raw_id
from partner_svc.directory.report import Report
from partner_svc.directory.taxonomy import OWN

KINDS = ("partner", "department", "case-management")
NO_AGREEMENT = "none"
_LISTS = ("participants", "needs")


def own_fields(values: dict[str, Any], attributes: list[Entity]) -> dict[str, Any]:
    """``x_handoff`` joined with the attributes of taxonomy "handoff" ({code: value})."""
    given = values.get("x_handoff")
    own: dict[str, Any] = dict(given) if isinstance(given, dict) else {}
    for attribute in attributes:
        term = attribute.get("taxonomy_term") or {}
        if str(term.get("taxonomy") or "").lower() != OWN:
            continue
        code = str(term.get("code") or term.get("name") or "")
        if code in _LISTS:
            own[code] = sorted({*map(str, own.get(code) or []), str(attribute.get("value") or "")})
        elif code not in own and code not in {category.value for category in NeedCategory}:
            own[code] = attribute.get("value")
    return own


def finish_organization(
    organization: Entity, own: dict[str, Any], row: Row, source_name: str, report: Report
) -> None:
    """Set ``kind``, ``agreement``, ``participants``; the rest stays in ``x_handoff`` as it came."""
    rest = dict(own)
    kind = rest.pop("kind", None) or KINDS[0]
    if kind not in KINDS:
        report.mend(
            row, "x_handoff.kind", f"{str(kind)[:40]!r} is none of {', '.join(KINDS)}; partner"
        )
        kind = KINDS[0]
    participants = rest.pop("participants", None) or []
    ids = [raw_id(id_) for id_ in participants] if isinstance(participants, list) else []
    organization["kind"] = kind
    organization["agreement"] = str(rest.pop("agreement", None) or NO_AGREEMENT)
    organization["participants"] = sorted(
        {stable_id(source_name, "organizations", id_) for id_ in ids if id_}
    )
    organization.pop("x_handoff", None)
    if rest:
        organization["x_handoff"] = rest


def stated_needs(own: dict[str, Any], row: Row, report: Report) -> set[NeedCategory] | None:
    """Kinds of need that the feed states itself; None: it states none."""
    given = own.get("needs")
    if not isinstance(given, list):
        return None
    found = set()
    for code in given:
        try:
            found.add(NeedCategory(str(code)))
        except ValueError:
            report.mend(row, "x_handoff.needs", f"{str(code)[:40]!r} is no kind of need; left out")
    return found


def without_own_fields(directory: Directory) -> Directory:
    """The directory as a stranger's feed may speak: no kind, agreement or participants of ours.

    An agreement opens residents' facts to an organization; only whoever speaks for the agency
    may bring one in.
    """
    neutral = {"kind": KINDS[0], "agreement": NO_AGREEMENT, "participants": []}
    return replace(
        directory,
        organizations=tuple(
            {key: value for key, value in organization.items() if key != "x_handoff"} | neutral
            for organization in directory.organizations
        ),
        services=tuple(
            {key: value for key, value in service.items() if key != "x_handoff"}
            for service in directory.services
        ),
    )
