"""A directory of services into partner: packed as one zip, posted, its report written as CSV."""

import io
import urllib.parse
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import httpx
from partner_svc.directory import DirectoryRefused, ReportRow, load_terms, write_report
from partner_svc.directory.sources import MAX_TOTAL_BYTES, TERMS_NAME, load_files

from handoff_cli.api import ApiRefused, api, checked
from handoff_cli.console import CommandFailed, progress

PATH = "/partner/v1/directory/imports"
_COUNTS = ("organizations", "services", "locations", "mended", "refused", "left")


@dataclass(frozen=True)
class Feed:
    """Where a directory is, what it is called, and how it is to be read.

    ``guessed``: nobody gave the name; the feed may be another's next, by its ids.
    """

    source: str
    name: str
    format: str = "auto"
    terms: Path | None = None
    trusted: bool = False
    partial: bool = False
    allow_leaving: bool = False
    guessed: bool = False


async def bring_in(feed: Feed, report_file: Path, *, dry_run: bool) -> dict[str, Any]:
    """Post the directory; a refused one changes nothing.

    Raises: DirectoryRefused, FileRefused, NotRunning, ApiRefused, CommandFailed, OSError.
    """
    if feed.terms is not None:
        load_terms(feed.terms)  # Its faults are told by the name that it has here.
    content = packed(await _fetched(feed.source), feed.terms)
    async with api("coordinator") as http:
        with progress("importing"):
            answer = await post(http, feed, content, dry_run=dry_run)
            rows = await _rows(http, answer)
    _write(report_file, rows, dry_run=dry_run)
    report = {name: answer[name] for name in _COUNTS}
    return report | {
        "report_file": str(report_file) if rows else None,
        "format": answer["format"],
        "source": answer["source"],
        **({"held": answer["held"]} if answer["held"] else {}),
        "changed": answer.get("changed"),
        **({"dry_run": True} if dry_run else {}),
    }


def _write(report_file: Path, rows: list[ReportRow], *, dry_run: bool) -> None:
    if rows:
        write_report(report_file, rows)
        report_file.chmod(0o600)
    elif not dry_run:
        report_file.unlink(missing_ok=True)  # One from before would tell of another import.


async def post(
    http: httpx.AsyncClient, feed: Feed, content: bytes, *, dry_run: bool
) -> dict[str, Any]:
    """The answer of the import. Raises: DirectoryRefused with what is to be mended."""
    response = await http.post(
        PATH,
        params={
            "source": feed.name,
            "find_source": feed.guessed,
            "format": feed.format,
            "trusted": feed.trusted,
            "partial": feed.partial,
            "allow_leaving": feed.allow_leaving,
            "dry_run": dry_run,
        },
        content=content,
        headers={"content-type": "application/zip"},
        timeout=600,
    )
    try:
        found: dict[str, Any] = checked(response)
    except ApiRefused as error:
        if response.status_code == 422 and response.json().get("code") == "directory-refused":
            raise DirectoryRefused(f"{feed.source}: {response.json()['detail']}") from None
        raise ApiRefused(f"{feed.source}: {error}") from None
    return found


def packed(files: dict[str, bytes], terms: Path | None = None) -> bytes:
    """One zip of the files; a mapping of terms that is given takes the place of theirs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in files.items():
            if terms is None or PurePosixPath(name).name != TERMS_NAME:
                archive.writestr(name, content)
        if terms is not None:
            archive.writestr(TERMS_NAME, terms.read_bytes())
    return buffer.getvalue()


async def _fetched(source: str) -> dict[str, bytes]:
    """The readable files of a path or an address, by name."""
    address = urllib.parse.urlsplit(source)
    if address.scheme not in ("http", "https"):
        if "://" in source:
            raise CommandFailed(f"{source}: only http and https addresses are fetched")
        return load_files(Path(source))
    content = await _download(source)
    name = Path(address.path).name or "directory"
    if not name.lower().endswith((".csv", ".json", ".ndjson", ".jsonl")):
        name += ".json"
    found = load_files(content)
    return {name: content} if set(found) == {""} else found


async def _download(source: str) -> bytes:
    parts, size = [], 0
    try:
        async with (
            httpx.AsyncClient(timeout=60, follow_redirects=True) as http,
            http.stream("GET", source) as response,
        ):
            if not response.is_success:
                raise CommandFailed(f"{source}: answered {response.status_code}")
            async for part in response.aiter_bytes():
                parts.append(part)
                size += len(part)
                if size > MAX_TOTAL_BYTES:
                    raise CommandFailed(f"{source}: larger than {MAX_TOTAL_BYTES >> 20} MiB")
    except httpx.HTTPError as error:
        raise CommandFailed(f"{source}: cannot be fetched ({error})") from None
    return b"".join(parts)


async def _rows(http: httpx.AsyncClient, answer: dict[str, Any]) -> list[ReportRow]:
    """The whole report; the answer holds its beginning."""
    page = answer["report"]
    found = list(page["items"])
    while page.get("next_cursor"):
        response = await http.get(
            f"{PATH}/{answer['import_id']}/rows",
            params={"cursor": page["next_cursor"], "limit": 200},
        )
        page = checked(response)
        found += page["items"]
    return [
        ReportRow(
            row["table"], row["row"], row["id"] or "", row["kind"], row["field"], row["reason"]
        )
        for row in found
    ]
