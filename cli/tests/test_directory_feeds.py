"""What ``handoff import directory`` packs and sends."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from handoff_cli.directories import Feed, packed, post
from partner_svc.directory import DirectoryRefused
from partner_svc.directory.sources import load_files

OWN = b"name: own\nterms:\n  Bread: [food-insecurity]\n"


def names(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "feed" / "export").mkdir(parents=True)
    (tmp_path / "feed" / "services.json").write_text("[]")
    (tmp_path / "feed" / "export" / "handoff-terms.yaml").write_bytes(OWN)
    (tmp_path / "feed" / "notes.yaml").write_text("a: b")
    return tmp_path / "feed"


def test_a_mapping_that_lies_in_the_feed_goes_along(folder: Path) -> None:
    files = load_files(folder)
    assert names(packed(files))["export/handoff-terms.yaml"] == OWN
    assert "notes.yaml" not in files
    # So does that of a zip.
    assert load_files(packed(files)) == files


def test_a_mapping_that_is_given_takes_its_place(folder: Path, tmp_path: Path) -> None:
    given = tmp_path / "mine.yaml"
    given.write_bytes(b"name: mine\n")
    found = names(packed(load_files(folder), given))
    assert found == {"services.json": b"[]", "handoff-terms.yaml": b"name: mine\n"}


async def sent(feed: Feed, answer: httpx.Response) -> tuple[httpx.Request, Any]:
    asked: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answer

    transport = httpx.MockTransport(handle)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        try:
            found: Any = await post(http, feed, b"zip", dry_run=False)
        except DirectoryRefused as refused:
            found = str(refused)
    return asked[0], found


async def test_what_may_leave_is_asked_as_it_was_said() -> None:
    done = httpx.Response(200, json={})
    for given in ("partial", "allow_leaving"):
        request, _ = await sent(Feed("feed", "feed", **{given: True}), done)
        query = dict(request.url.params)
        assert {name: query[name] for name in ("partial", "allow_leaving", "trusted")} == {
            "partial": "true" if given == "partial" else "false",
            "allow_leaving": "true" if given == "allow_leaving" else "false",
            "trusted": "false",
        }


async def test_a_refusal_names_the_feed() -> None:
    problem = {"code": "directory-refused", "detail": "2 of the 3 services …"}
    answer = httpx.Response(422, content=json.dumps(problem))
    _, found = await sent(Feed("export/", "feed"), answer)
    assert found == "export/: 2 of the 3 services …"
