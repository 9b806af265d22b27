"""``handoff keys``: owners' keys under another key-encryption key, while others work on them."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from handoff_cli.commands import keys
from handoff_cli.console import CommandFailed
from handoff_cli.services import all_services
from handoff_kit.crypto import (
    FileKeyWrapper,
    create_key_file,
    key_version,
    make_owner_key,
    rotate_key_file,
    unwrap_owner_key,
)
from handoff_kit.service import Service

OF = ["intake", "notify"]


@pytest.fixture
def services() -> tuple[Service, ...]:
    return tuple(all_services())


@pytest.fixture
def key_file(database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "key_file.json"
    create_key_file(path)
    monkeypatch.setenv("HANDOFF_DATABASE_URL", database.admin_url)
    monkeypatch.setenv("HANDOFF_KEY_FILE", str(path))
    monkeypatch.setenv("HANDOFF_HOME", str(tmp_path / "nothing-runs-here"))
    return path


@pytest.fixture
def owners(admin, key_file: Path) -> Callable[[int], Awaitable[dict[UUID, bytes]]]:
    """``await owners(number)``: so many properties; the key of each, in clear."""

    async def owners(number: int) -> dict[UUID, bytes]:
        wrapper, made = FileKeyWrapper(key_file), {}
        rows = []
        for _ in range(number):
            id_ = uuid4()
            made[id_], wrapped = make_owner_key(wrapper, id_)
            rows.append((id_, wrapped))
        await admin.executemany(
            "INSERT INTO intake.property (agency_id, id, place, codes, areas, wrapped_key,"
            " created_at) VALUES ('demo-city', $1, '{}', '{}', '[]', $2, now())",
            rows,
        )
        return made

    return owners


async def wrapped(admin) -> dict[UUID, bytes]:
    rows = await admin.fetch("SELECT id, wrapped_key FROM intake.property")
    return {row["id"]: row["wrapped_key"] for row in rows}


async def test_every_key_is_wrapped_anew_and_opens_as_before(admin, key_file, owners) -> None:
    before = await owners(2_300)
    assert rotate_key_file(key_file) == 2
    already = await owners(1)
    report = await keys._rewrap(key_file, OF)
    assert report == {
        "current": 2,
        "services": [
            {"service": "intake", "rewrapped": 2_300},
            {"service": "notify", "rewrapped": 0},
        ],
        "left": 0,
    }
    wrapper = FileKeyWrapper(key_file)
    found = await wrapped(admin)
    assert {key_version(one) for one in found.values()} == {2}
    opened = {id_: unwrap_owner_key(wrapper, id_, one) for id_, one in found.items()}
    assert opened == before | already
    # Again is no work, and what was done is on the audit chain.
    assert (await keys._rewrap(key_file, OF))["services"][0]["rewrapped"] == 0
    (entry,) = await admin.fetch("SELECT body FROM intake.audit")
    assert b'"keys.rewrapped"' in entry["body"]
    assert b'"owners":2300' in entry["body"]
    status = await keys._status(key_file, ["intake"])
    assert (status["current"], status["known"]) == (2, [2, 1])
    assert {"service": "intake", "table": "property", "versions": {"2": 2_301}} in status["tables"]


async def test_what_somebody_works_on_is_left_and_told(admin, key_file, owners, database) -> None:
    import asyncpg

    before = await owners(3)
    one = next(iter(before))
    rotate_key_file(key_file)
    other = await asyncpg.connect(database.admin_url)
    try:
        async with other.transaction():
            await other.execute("SELECT 1 FROM intake.property WHERE id = $1 FOR UPDATE", one)
            report = await keys._rewrap(key_file, ["intake"])
    finally:
        await other.close()
    assert report["left"] == 1
    with pytest.raises(CommandFailed, match="1 keys are left"):
        keys._told(report, as_json=True)
    assert (await keys._rewrap(key_file, ["intake"]))["left"] == 0


async def test_who_was_erased_gets_no_key(admin, key_file, owners) -> None:
    gone, *_ = await owners(2)
    await admin.execute("UPDATE intake.property SET wrapped_key = '' WHERE id = $1", gone)
    rotate_key_file(key_file)
    assert (await keys._rewrap(key_file, ["intake"]))["left"] == 0
    assert (await wrapped(admin))[gone] == b""


async def test_anothers_key_file_is_refused_before_anything_is_changed(
    admin, key_file, owners, tmp_path: Path
) -> None:
    await owners(2)
    before = await wrapped(admin)
    other = tmp_path / "other.json"
    create_key_file(other)
    with pytest.raises(CommandFailed, match=r"intake\.property; is it another service's"):
        await keys._status(other, ["intake"])
    rotate_key_file(key_file)
    await keys._rewrap(key_file, ["intake"])
    with pytest.raises(CommandFailed, match=r"intake\.property: .*no key of version 2"):
        await keys._status(other, ["intake"])
    assert set(before) == set(await wrapped(admin))


def test_whose_key_file_it_is_has_to_be_said(
    key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CommandFailed, match="say whose, --service intake"):
        keys.services(None)
    assert keys.services(["intake"]) == ["intake"]
    with pytest.raises(Exception, match="'intak' is none of: intake, referral"):
        keys.services(["intak"])
    key_file.unlink()
    with pytest.raises(CommandFailed, match=r"is not there; .*name the file with HANDOFF_KEY_FILE"):
        keys.key_file()
    monkeypatch.delenv("HANDOFF_KEY_FILE")
    assert "HANDOFF_KEY_FILE" not in os.environ
    assert len(keys.services(None)) == 5
