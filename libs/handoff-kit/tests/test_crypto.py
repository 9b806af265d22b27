"""Sealing: opens with its own key and owner alone; keys rotate; erased is erased."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest
from handoff_kit.crypto import (
    SEEN_WITHIN,
    BlindIndex,
    Erased,
    FileKeyWrapper,
    KeyServiceAway,
    Tampered,
    create_key_file,
    key_version,
    make_owner_key,
    open_json,
    open_sealed,
    rewrap_owner_key,
    rotate_key_file,
    seal,
    seal_json,
    unwrap_owner_key,
)
from hypothesis import given
from hypothesis import strategies as st

OWNER = UUID(int=1)
OTHER = UUID(int=2)
KEY = bytes(range(32))


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    create_key_file(path)
    return path


@given(st.binary(max_size=2000), st.uuids())
def test_what_is_sealed_opens_again(plaintext: bytes, owner: UUID) -> None:
    sealed = seal(KEY, owner, plaintext)
    assert open_sealed(KEY, owner, sealed) == plaintext
    assert open_sealed(KEY, str(owner), sealed) == plaintext
    assert len(plaintext) < 8 or plaintext not in sealed


def test_two_seals_of_the_same_text_differ() -> None:
    assert seal(KEY, OWNER, b"text") != seal(KEY, OWNER, b"text")


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_byte_is_noticed(position: int, flip: int) -> None:
    sealed = bytearray(seal(KEY, OWNER, b"some text of a case"))
    sealed[position % len(sealed)] ^= flip
    with pytest.raises(Tampered):
        open_sealed(KEY, OWNER, bytes(sealed))


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" * 28, b"\x02" * 60])
def test_what_was_never_sealed_is_refused(sealed: bytes) -> None:
    with pytest.raises(Tampered):
        open_sealed(KEY, OWNER, sealed)


def test_another_owner_or_another_key_does_not_open_it() -> None:
    sealed = seal(KEY, OWNER, b"text")
    with pytest.raises(Tampered):
        open_sealed(KEY, OTHER, sealed)
    with pytest.raises(Tampered):
        open_sealed(bytes(32), OWNER, sealed)


def test_json_keeps_its_shape() -> None:
    value = {"languages": ["es"], "household": {"adults": 2}, "note": None}
    assert open_json(KEY, OWNER, seal_json(KEY, OWNER, value)) == value


def test_f34_without_a_key_it_is_erased(key_file: Path) -> None:
    with pytest.raises(Erased):
        open_sealed(None, OWNER, seal(KEY, OWNER, b"text"))
    with pytest.raises(Erased):
        unwrap_owner_key(FileKeyWrapper(key_file), OWNER, None)


def test_the_key_file_is_private_and_never_overwritten(key_file: Path) -> None:
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        create_key_file(key_file)


def test_an_owner_key_unwraps_for_its_owner_alone(key_file: Path) -> None:
    wrapper = FileKeyWrapper(key_file)
    key, wrapped = make_owner_key(wrapper, OWNER)
    assert unwrap_owner_key(wrapper, OWNER, wrapped) == key
    assert key not in wrapped
    with pytest.raises(Tampered):
        unwrap_owner_key(wrapper, OTHER, wrapped)
    with pytest.raises(Tampered):
        unwrap_owner_key(wrapper, OWNER, wrapped[:-1])
    with pytest.raises(Tampered):
        unwrap_owner_key(wrapper, OWNER, b"")


def test_rotation_wraps_anew_and_still_unwraps_the_old(key_file: Path) -> None:
    running = FileKeyWrapper(key_file)
    key, old = make_owner_key(running, OWNER)

    assert rotate_key_file(key_file) == 2
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    restarted = FileKeyWrapper(key_file)
    new = rewrap_owner_key(restarted, OWNER, old)
    assert (key_version(old), key_version(new)) == (1, 2)
    assert unwrap_owner_key(restarted, OWNER, old) == key
    assert unwrap_owner_key(restarted, OWNER, new) == key
    # A process that started before the rotation finds the new version by itself.
    assert unwrap_owner_key(running, OWNER, new) == key
    assert running.current_version == 2


def test_rotations_at_once_lose_no_key(key_file: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: rotate_key_file(key_file), range(24)))
    assert sorted(made) == list(range(2, 26))
    assert FileKeyWrapper(key_file).known_versions == list(range(25, 0, -1))


def test_who_wraps_sees_a_rotation_after_a_while(key_file: Path) -> None:
    at = [0.0]
    running = FileKeyWrapper(key_file, monotonic=lambda: at[0])
    assert rotate_key_file(key_file) == 2
    versions = []
    for seconds in (0.0, SEEN_WITHIN - 0.1, SEEN_WITHIN, SEEN_WITHIN + 0.1):
        at[0] = seconds
        versions.append(key_version(make_owner_key(running, OWNER)[1]))
    assert versions == [1, 1, 2, 2]
    # What cannot be read just now is read later; what is known goes on.
    away = key_file.rename(key_file.with_suffix(".away"))
    at[0] += SEEN_WITHIN
    assert key_version(make_owner_key(running, OWNER)[1]) == 2
    key_file.write_text("{}")
    at[0] += SEEN_WITHIN
    assert key_version(make_owner_key(running, OWNER)[1]) == 2
    away.rename(key_file)
    assert rotate_key_file(key_file) == 3
    at[0] += SEEN_WITHIN
    assert key_version(make_owner_key(running, OWNER)[1]) == 3
    assert running.known_versions == [3, 2, 1]


def test_a_wrapped_key_cannot_claim_another_version(key_file: Path) -> None:
    wrapped = bytearray(make_owner_key(FileKeyWrapper(key_file), OWNER)[1])
    rotate_key_file(key_file)
    wrapped[1:5] = (2).to_bytes(4, "big")
    with pytest.raises(Tampered):
        unwrap_owner_key(FileKeyWrapper(key_file), OWNER, bytes(wrapped))


def test_f34_an_unknown_version_is_a_key_service_that_is_away(key_file: Path) -> None:
    wrapper = FileKeyWrapper(key_file)
    wrapped = bytearray(make_owner_key(wrapper, OWNER)[1])
    wrapped[1:5] = (9).to_bytes(4, "big")
    with pytest.raises(KeyServiceAway, match="version 9"):
        unwrap_owner_key(wrapper, OWNER, bytes(wrapped))


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"keys": []}', '{"keys": [{"version": 1, "key": "c2hvcnQ="}]}'],
)
def test_a_broken_key_file_is_named_and_not_shown(tmp_path: Path, content: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(content)
    with pytest.raises(KeyServiceAway, match=r"broken\.json") as caught:
        FileKeyWrapper(path)
    assert "c2hvcnQ=" not in str(caught.value)


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyServiceAway, match=r"absent\.json"):
        FileKeyWrapper(tmp_path / "absent.json")


def test_the_blind_index_finds_the_same_and_only_the_same(key_file: Path) -> None:
    index = BlindIndex.from_file(key_file)
    found = index("city-a", "household", "Resident One")
    assert len(found) == 32
    assert found == index("city-a", "household", b"Resident One")
    others = [
        index("city-a", "household", "resident one"),
        index("city-b", "household", "Resident One"),
        index("city-a", "request", "Resident One"),
        index("city", "-ahousehold", "Resident One"),
        BlindIndex(bytes(32))("city-a", "household", "Resident One"),
    ]
    assert len({found, *others}) == 6


def test_the_blind_index_outlives_a_rotation(key_file: Path) -> None:
    before = BlindIndex.from_file(key_file)("a", "household", "text")
    rotate_key_file(key_file)
    assert BlindIndex.from_file(key_file)("a", "household", "text") == before
    assert len(json.loads(key_file.read_text())["keys"]) == 2
