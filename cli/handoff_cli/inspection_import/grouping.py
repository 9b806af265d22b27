"""Rows become inspections: one body a row, then one inspection for each group of rows. Pure.

The result does not depend on the order of a group's rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from event_schemas.inbound import InspectionReported
from intake_svc.domain.inspections import time_faults
from pydantic import ValidationError

from handoff_cli.inspection_import.cells import Row, Value, value_of
from handoff_cli.inspection_import.errors import Refusal, Reject
from handoff_cli.inspection_import.maps import InspectionMap
from handoff_cli.inspection_import.points import settle_point
from handoff_cli.inspection_import.rules import FieldRule
from handoff_cli.inspection_import.targets import FINDING_TARGETS, INSPECTION_TARGETS, Kind

MAX_FINDINGS = 500
"""In one inspection, as the API takes it."""
MAX_BYTES = 240 * 1024
"""Of one inspection: the API takes 256 KiB a body, brackets included."""

_A_FINDING_HAS = ("code", "class", "text")


@dataclass(frozen=True, slots=True)
class RowBody:
    """What one row says: its group, the inspection without findings, and the findings."""

    group: str
    inspected_at: datetime
    head: dict[str, Any]
    findings: list[dict[str, Any]]


@dataclass(slots=True)
class _Group:
    row: int
    file: str
    best: tuple[datetime, bool, bytes]
    findings: dict[bytes, None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inspection:
    """One inspection as ``POST /intake/v1/inspections`` takes it.

    ``row`` and ``file`` say where its first row stands.
    """

    row: int
    file: str
    encoded: bytes

    @property
    def body(self) -> dict[str, Any]:
        """The JSON body."""
        body: dict[str, Any] = orjson.loads(self.encoded)
        return body


def is_left_out(map_: InspectionMap, row: Row) -> bool:
    """Whether the map's ``only`` and ``skip`` leave the row out. Raises `Refusal`."""
    return not all(one.holds(row.cell(one.column)) for one in map_.only) or any(
        one.holds(row.cell(one.column)) for one in map_.skip
    )


def body_of(map_: InspectionMap, row: Row, now: datetime) -> RowBody:
    """The row through the map. Raises `Refusal` with the first thing that is wrong.

    *now*, aware: what has happened cannot lie after it, by the API's own rule.
    """
    head: dict[str, Any] = {"source": map_.source}
    for target, rule in map_.fields.items():
        value = value_of(rule, INSPECTION_TARGETS[target], row, map_.zone)
        if value is not None:
            _put(head, target, value)
    _settle_property(map_, head)
    findings = list(_findings(map_, row))
    report = _checked(map_, head, findings)
    _check_times(map_, report, now)
    group = str(head["source_id"])
    if map_.group_by:
        group = row.cell(map_.group_by)
        if not group:
            raise Refusal(map_.group_by, "is empty; rows are grouped by it")
    return RowBody(group, report.inspected_at, head, findings)


def group_of(map_: InspectionMap, row: Row) -> str | None:
    """The group of a row that is refused; None where that too cannot be told."""
    try:
        if map_.group_by:
            return row.cell(map_.group_by) or None
        found = value_of(map_.fields["source_id"], Kind.TEXT, row, map_.zone)
    except (Refusal, KeyError):  # KeyError: the row is too short to have the column.
        return None
    return None if found is None else str(found)


def _put(body: dict[str, Any], target: str, value: Value) -> None:
    *path, last = target.split(".")
    for part in path:
        body = body.setdefault(part, {})
    body[last] = value


def _settle_property(map_: InspectionMap, head: dict[str, Any]) -> None:
    """A property needs a parcel, an address id, an address or a point."""
    found = head.setdefault("property", {})
    if "line1" not in found.get("address", {"line1": ""}):
        del found["address"]  # city and postcode alone are no place
    settle_point(map_, found)
    if not found.keys() & {"parcel_id", "address_id", "address", "latitude"}:
        named = ("parcel_id", "address_id", "address.line1", "latitude", "longitude")
        rules = [
            map_.fields[f"property.{name}"] for name in named if f"property.{name}" in map_.fields
        ]
        columns = dict.fromkeys(column for rule in rules for column in rule.columns)
        raise Refusal(
            ", ".join(columns) or None,
            "names no property: parcel, address id, address and point are all empty",
        )


def _findings(map_: InspectionMap, row: Row) -> Iterator[dict[str, Any]]:
    several = map_.findings_from
    for part in [row] if several is None else row.parts(several.column, several.separator):
        yield from _findings_of(map_, part)


def _findings_of(map_: InspectionMap, row: Row) -> Iterator[dict[str, Any]]:
    finding: dict[str, Any] = {}
    for target, rule in map_.findings.items():
        value = value_of(rule, FINDING_TARGETS[target], row, map_.zone)
        if value is not None:
            finding[target] = value
    if not any(name in finding for name in _A_FINDING_HAS):
        return
    meant = [] if "code" in finding else _keywords(map_, finding.get("text", ""))
    if not meant:
        yield finding
    for scheme, code in meant:
        yield {**finding, **({"scheme": scheme} if scheme else {}), "code": code}


def _keywords(map_: InspectionMap, text: str) -> list[tuple[str | None, str]]:
    """Each code whose words are in the text, once: a text may tell of several things."""
    found = ((word.scheme, word.code) for word in map_.keywords if word.regex.search(text))
    return list(dict.fromkeys(found))


def _checked(
    map_: InspectionMap, head: dict[str, Any], findings: list[dict[str, Any]]
) -> InspectionReported:
    """By the API's own model, so that what is read is also taken."""
    try:
        return InspectionReported.model_validate({**head, "findings": findings})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        names = [str(part) for part in problem["loc"]]
        message = f"{problem['msg']} ({'.'.join(name for name in names if not name.isdigit())})"
        raise Refusal(_columns(_rule(map_, names)), message) from error


def _check_times(map_: InspectionMap, report: InspectionReported, now: datetime) -> None:
    times = ((finding.issued_at, finding.deadline) for finding in report.findings)
    fault = next(time_faults(report.inspected_at, times, now), None)
    if fault is None:
        return
    names = fault.field.split(".")
    rule = _rule(map_, names)
    finding = report.findings[int(names[1])] if names[0] == "findings" else report
    reason = f"{getattr(finding, names[-1])} cannot be meant ({names[-1]}): {fault.message}"
    if rule is not None and not rule.required:
        reason += " Name what stands for none under 'empty' in the map."
    raise Refusal(_columns(rule), reason)


def _rule(map_: InspectionMap, names: list[str]) -> FieldRule | None:
    """The rule of the field at the path of an error."""
    if names[:1] == ["findings"]:
        return map_.findings.get(".".join(names[2:]))
    return map_.fields.get(".".join(names))


def _columns(rule: FieldRule | None) -> str | None:
    return (", ".join(rule.columns) if rule else "") or None


class Groups:
    """Collects rows into inspections; keeps one head and the distinct findings of each."""

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}

    def __contains__(self, group: str) -> bool:
        """Whether any row of the group was taken."""
        return group in self._groups

    def add(self, row: Row, body: RowBody) -> None:
        """Take a row. Where its group's rows differ, the latest ``inspected_at`` wins; of
        several at the same instant one that is open, then the greater by its canonical JSON.
        """
        is_open = body.head.get("status") != "closed"
        ranked = (body.inspected_at, is_open, _canonical(body.head))
        group = self._groups.get(body.group)
        if group is None:
            group = self._groups[body.group] = _Group(row.number, row.file, ranked)
        else:
            group.best = max(group.best, ranked)
        group.findings.update(dict.fromkeys(map(_canonical, body.findings)))

    def results(self) -> Iterator[Inspection | Reject]:
        """An inspection for each group, in the order of the groups' first rows."""
        owners: dict[str, _Group] = {}
        for name, group in self._groups.items():
            head = orjson.loads(group.best[-1])
            owner = owners.setdefault(head["source_id"], group)
            if owner is not group:
                reason = (
                    f"group '{name}' has the source_id {head['source_id']} of the group in "
                    f"row {owner.row}; group by what tells inspections apart"
                )
                yield Reject(group.row, None, reason, {}, group.file)
            elif len(group.findings) > MAX_FINDINGS:
                reason = f"has {len(group.findings)} findings; at most {MAX_FINDINGS} are taken"
                yield Reject(group.row, None, reason, {}, group.file)
            else:
                findings = [orjson.loads(one) for one in sorted(group.findings)]
                encoded = _canonical({**head, "findings": findings})
                if len(encoded) > MAX_BYTES:
                    reason = f"has {len(encoded) >> 10} KiB; at most {MAX_BYTES >> 10} are taken"
                    yield Reject(group.row, None, reason, {}, group.file)
                else:
                    yield Inspection(group.row, group.file, encoded)


def _canonical(body: dict[str, Any]) -> bytes:
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
