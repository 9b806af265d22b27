"""A department's export into intake: read through a map, posted in batches, several in flight."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from handoff_cli.api import ApiRefused, api, checked
from handoff_cli.console import Advance, NotRunning, progress
from handoff_cli.inspection_import import (
    Inspection,
    Reject,
    load_map,
    read,
    write_rejects,
)
from handoff_cli.inspection_import.grouping import MAX_BYTES

PATH = "/intake/v1/inspections/batch"
MOST_ITEMS = 500
MOST_BYTES = MAX_BYTES
IN_FLIGHT = 4
_TRY_AGAIN = frozenset({429, 502, 503, 504})
"""Not ready, or a proxy without anybody behind it: the same request may go well later."""
_PATIENCE = 60.0
"""Seconds that a batch is tried again while the doorway restarts; repeating it is harmless."""


@dataclass
class Totals:
    """What became of the inspections that were posted."""

    taken: int = 0
    unchanged: int = 0
    corrected: int = 0
    refused: list[Reject] = field(default_factory=list)


async def bring_in(source: Path, map_name: str, rejects: Path, *, dry_run: bool) -> dict[str, Any]:
    """Read *source*, post what was read, write what was not taken to *rejects*.

    Raises: ImportRefused, FileRefused, NotRunning, ApiRefused, OSError.
    """
    map_ = load_map(map_name)
    with progress("reading") as tell:
        reading = read(map_, source, tell)
    totals = Totals()
    if reading.inspections and not dry_run:
        async with api("department") as http:
            with progress("posting") as tell:
                await _post_all(http, reading.inspections, totals, tell)
    refused = sorted([*reading.rejects, *totals.refused], key=lambda r: (r.file, r.row))
    _write(rejects, refused, dry_run=dry_run)
    rejected = reading.lost + len(totals.refused)
    report: dict[str, Any] = {
        "read": len(reading.inspections) + rejected - len(totals.refused),
        "taken": totals.taken,
        "unchanged": totals.unchanged,
        "corrected": totals.corrected,
        "rejected": rejected,
        "rejects_file": str(rejects) if refused else None,
        "rows": reading.rows,
    }
    if reading.left_out is not None:
        report["left_out"] = reading.left_out
    return report | ({"dry_run": True} if dry_run else {})


def _write(path: Path, refused: list[Reject], *, dry_run: bool) -> None:
    if refused:
        write_rejects(path, refused)
    elif not dry_run:
        path.unlink(missing_ok=True)  # One from before would tell of other rows.


def batches(found: Sequence[Inspection]) -> Iterator[list[Inspection]]:
    """Runs of inspections that fit into one request each."""
    batch: list[Inspection] = []
    size = 0
    for one in found:
        if batch and (len(batch) == MOST_ITEMS or size + len(one.encoded) > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += len(one.encoded) + 1
    if batch:
        yield batch


async def _post_all(
    http: httpx.AsyncClient, found: Sequence[Inspection], totals: Totals, tell: Advance
) -> None:
    waiting = iter(list(batches(found)))
    done = 0

    async def work() -> None:
        nonlocal done
        for batch in waiting:
            try:
                results = await _post(http, batch)
            except ApiRefused as error:
                kept = f"{done} of {len(found)} inspections are in and stay"
                raise ApiRefused(f"{error} ({kept}; the same command again goes on)") from None
            _count(batch, results, totals)
            done += len(batch)
            tell(done, len(found))

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(work())


async def _post(http: httpx.AsyncClient, batch: Sequence[Inspection]) -> list[dict[str, Any]]:
    body = b'{"inspections":[' + b",".join(one.encoded for one in batch) + b"]}"
    loop = asyncio.get_running_loop()
    until = loop.time() + _PATIENCE
    wait = 0.2
    while True:
        try:
            response = await http.post(
                PATH, content=body, headers={"content-type": "application/json"}
            )
            if response.status_code not in _TRY_AGAIN:
                results: list[dict[str, Any]] = checked(response)["results"]
                return results
        except httpx.TransportError as error:
            if loop.time() > until:
                raise NotRunning(f"{http.base_url} does not answer: {error}") from None
        if loop.time() > until:
            raise NotRunning(f"{http.base_url} is not ready; what was posted so far is kept")
        await asyncio.sleep(wait)
        wait = min(wait * 2, 5.0)


def _count(batch: Sequence[Inspection], results: Sequence[dict[str, Any]], totals: Totals) -> None:
    for one, result in zip(batch, results, strict=True):
        if result["status"] == 201:
            totals.taken += 1
        elif result["status"] == 200:
            if result.get("change") == "unchanged":
                totals.unchanged += 1
            else:
                totals.corrected += 1
        else:
            errors = result.get("errors") or []
            reason = "; ".join(f"{e['field']}: {e['message']}" for e in errors)
            body = one.body
            raw = {"source_id": body["source_id"], "inspected_at": body["inspected_at"]}
            totals.refused.append(
                Reject(one.row, None, reason or str(result.get("code")), raw, one.file)
            )
