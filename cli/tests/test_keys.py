"""The key files of the distributed way."""

import stat
from pathlib import Path

from handoff_cli.keys import main, make_missing
from handoff_kit.auth import Signer
from handoff_kit.crypto import BlindIndex, FileKeyWrapper
from handoff_kit.settings import SERVICES


def test_each_service_gets_a_key_of_its_own_that_can_be_used(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 0
    files = [tmp_path / service / "key_file.json" for service in SERVICES]
    assert len({path.read_bytes() for path in files}) == len(SERVICES)
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        wrapper = FileKeyWrapper(path)
        assert wrapper.unwrap(wrapper.wrap(b"k" * 32, b"a"), b"a") == b"k" * 32
        assert BlindIndex.from_file(path)("", "x", "y")
    Signer(tmp_path / "portal" / "signing_keys.json", "http://127.0.0.1")
    assert [p.parent.name for p in tmp_path.glob("*/signing_keys.json")] == ["portal"]


def test_what_is_there_stays(tmp_path: Path) -> None:
    make_missing(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.glob("*/*.json")}
    gone = tmp_path / "notify" / "key_file.json"
    gone.unlink()
    assert make_missing(tmp_path) == [gone]
    after = {path: path.read_bytes() for path in tmp_path.glob("*/*.json")}
    assert {p for p in before if before[p] != after[p]} == {gone}


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, capsys: object) -> None:
    (tmp_path / "file").write_text("")
    assert main([str(tmp_path / "file")]) == 1
    assert main([]) == 2
