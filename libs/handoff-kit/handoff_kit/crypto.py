"""Sealing: AES-256-GCM with a key for each owner, wrapped by a key-encryption key behind a port.

An owner is a resident, or a case without one. Erasing an owner is deleting its wrapped key: nobody
can then open what was sealed with it.

Formats (all binary, a version byte first, so that another cipher can come beside this one):
    sealed      01 | nonce 12 | ciphertext and tag; additional data: "handoff.seal.1|" owner
    wrapped key 01 | key version u32 | nonce 12 | ciphertext and tag; additional data: the caller's
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import os
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NewType, Protocol
from uuid import UUID

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from handoff_kit import private_file
from handoff_kit.errors import Fate, HandoffError, Permanent, Unavailable
from handoff_kit.private_file import Watched

__all__ = [
    "SEEN_WITHIN",
    "BlindIndex",
    "Erased",
    "FileKeyWrapper",
    "KeyServiceAway",
    "KeyWrapper",
    "Tampered",
    "WrappedKey",
    "create_key_file",
    "key_version",
    "make_owner_key",
    "open_json",
    "open_sealed",
    "rewrap_owner_key",
    "rotate_key_file",
    "seal",
    "seal_json",
    "unwrap_owner_key",
]

log = logging.getLogger(__name__)

WrappedKey = NewType("WrappedKey", bytes)
OwnerId = UUID | str

# Seconds after which every process wraps with the current key of a file that was rotated.
SEEN_WITHIN = 5.0
_VERSION = b"\x01"
_NONCE = 12
_KEY = 32
_KEY_VERSION = 4
_SEALED_MIN = 1 + _NONCE + 16
_WRAPPED_HEAD = 1 + _KEY_VERSION
_AAD = b"handoff.seal.1|"
_OWNER_AAD = b"handoff.owner-key.1|"


class Erased(HandoffError):
    """What was sealed here was erased."""

    status = 410
    default_code = "erased"
    fate = Fate.REFUSE


class KeyServiceAway(Unavailable):
    """The key that opens this cannot be had at the moment."""

    default_code = "key-service-away"


class Tampered(Permanent):
    """What was sealed does not open with its key; it was altered or belongs to another owner."""

    default_code = "tampered"


class KeyWrapper(Protocol):
    """A key-encryption key, wherever it lives. Raises KeyServiceAway, Tampered."""

    def wrap(self, key: bytes, aad: bytes) -> bytes: ...

    def unwrap(self, wrapped: bytes, aad: bytes) -> bytes: ...


# -- owner keys ----------------------------------------------------------------------------------


def make_owner_key(wrapper: KeyWrapper, owner_id: OwnerId) -> tuple[bytes, WrappedKey]:
    """A new key for this owner, in clear (to seal with at once) and wrapped (to store)."""
    key = os.urandom(_KEY)
    return key, WrappedKey(wrapper.wrap(key, _owner_aad(owner_id)))


def unwrap_owner_key(wrapper: KeyWrapper, owner_id: OwnerId, wrapped: bytes | None) -> bytes:
    """The owner's key in clear. Raises Erased (no wrapped key), KeyServiceAway, Tampered."""
    if wrapped is None:
        raise Erased
    return wrapper.unwrap(wrapped, _owner_aad(owner_id))


def rewrap_owner_key(wrapper: KeyWrapper, owner_id: OwnerId, wrapped: bytes) -> WrappedKey:
    """The same key under the wrapper's current version; sealed data stays as it is."""
    aad = _owner_aad(owner_id)
    return WrappedKey(wrapper.wrap(wrapper.unwrap(wrapped, aad), aad))


def _owner_aad(owner_id: OwnerId) -> bytes:
    return _OWNER_AAD + str(owner_id).encode()


# -- sealing -------------------------------------------------------------------------------------


# Bounded: a cipher object holds a key in clear.
@lru_cache(maxsize=1024)
def _cipher(key: bytes) -> AESGCM:
    return AESGCM(key)


def seal(key: bytes, owner_id: OwnerId, plaintext: bytes) -> bytes:
    """Seal for this owner. `key`: 32 bytes, in clear."""
    nonce = os.urandom(_NONCE)
    aad = _AAD + str(owner_id).encode()
    return _VERSION + nonce + _cipher(key).encrypt(nonce, plaintext, aad)


def open_sealed(key: bytes | None, owner_id: OwnerId, sealed: bytes) -> bytes:
    """Open what `seal` made. Raises Erased (the key is gone), Tampered."""
    if key is None:
        raise Erased
    if len(sealed) < _SEALED_MIN or sealed[:1] != _VERSION:
        raise Tampered
    aad = _AAD + str(owner_id).encode()
    try:
        return _cipher(key).decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], aad)
    except InvalidTag:
        raise Tampered from None


def seal_json(key: bytes, owner_id: OwnerId, value: Any) -> bytes:
    """Seal any value that orjson can write."""
    return seal(key, owner_id, orjson.dumps(value))


def open_json(key: bytes | None, owner_id: OwnerId, sealed: bytes) -> Any:
    """Open what `seal_json` made. Raises Erased, Tampered."""
    return orjson.loads(open_sealed(key, owner_id, sealed))


# -- the key file --------------------------------------------------------------------------------


class FileKeyWrapper:
    """Key-encryption keys from a JSON file of mode 0600; the first is current, all can unwrap.

    A rotation needs no restart: the file is read again when a wrapped key names a version that is
    not known yet, and, before something is wrapped, when it is another one `SEEN_WITHIN` later.
    """

    def __init__(
        self, path: Path | str, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Raises: KeyServiceAway."""
        self._path = Path(path)
        self._ciphers: dict[int, AESGCM] = {}
        self._current = 0
        self._file = Watched(self._path)
        self._monotonic = monotonic
        self._looked = monotonic()
        self._file.changed()
        self._load()

    def wrap(self, key: bytes, aad: bytes) -> bytes:
        self._look()
        nonce = os.urandom(_NONCE)
        head = _VERSION + self._current.to_bytes(_KEY_VERSION, "big")
        return head + nonce + self._ciphers[self._current].encrypt(nonce, key, head + aad)

    def unwrap(self, wrapped: bytes, aad: bytes) -> bytes:
        version = key_version(wrapped)
        cipher = self._ciphers.get(version)
        if cipher is None:
            self._load()
            cipher = self._ciphers.get(version)
        if cipher is None:
            raise KeyServiceAway(f"The key file has no key of version {version}.")
        head, rest = wrapped[:_WRAPPED_HEAD], wrapped[_WRAPPED_HEAD:]
        try:
            return cipher.decrypt(rest[:_NONCE], rest[_NONCE:], head + aad)
        except (InvalidTag, ValueError):
            raise Tampered from None

    @property
    def current_version(self) -> int:
        return self._current

    @property
    def known_versions(self) -> list[int]:
        """Those of the file when it was read last, the newest first."""
        return list(self._ciphers)

    def _look(self) -> None:
        now = self._monotonic()
        if now - self._looked < SEEN_WITHIN:
            return
        self._looked = now
        if self._file.changed():
            try:
                self._load()
            except KeyServiceAway as error:
                log.error("%s The keys from before are used on.", error)  # noqa: TRY400

    def _load(self) -> None:
        keys = _read_key_file(self._path)["keys"]
        self._ciphers = {entry["version"]: AESGCM(_decode(entry["key"])) for entry in keys}
        self._current = keys[0]["version"]


def key_version(wrapped: bytes) -> int:
    """The version of the key-encryption key that wrapped this. Raises Tampered."""
    if len(wrapped) <= _WRAPPED_HEAD + _NONCE or wrapped[:1] != _VERSION:
        raise Tampered
    return int.from_bytes(wrapped[1:_WRAPPED_HEAD], "big")


def create_key_file(path: Path | str) -> None:
    """Write a new key file, mode 0600. Raises FileExistsError: a key is never overwritten."""
    content = {
        "keys": [{"version": 1, "key": _encode(os.urandom(_KEY))}],
        "index_key": _encode(os.urandom(_KEY)),
    }
    private_file.write_new(Path(path), content)


def rotate_key_file(path: Path | str) -> int:
    """Put a new current key before the others; returns its version. The old ones still unwrap."""
    path = Path(path)
    with private_file.locked(path):
        content = _read_key_file(path)
        version: int = 1 + max(entry["version"] for entry in content["keys"])
        content["keys"].insert(0, {"version": version, "key": _encode(os.urandom(_KEY))})
        private_file.replace(path, content)
    return version


def _read_key_file(path: Path) -> dict[str, Any]:
    """Raises KeyServiceAway, naming the file and what to mend, never what is in it."""
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        keys = content["keys"]
        whole = [len(_decode(entry["key"])) == _KEY and entry["version"] > 0 for entry in keys]
        whole.append(len(_decode(content["index_key"])) == _KEY)
    except OSError:
        raise KeyServiceAway(f"The key file {path} cannot be read.") from None
    except (ValueError, KeyError, TypeError):
        raise KeyServiceAway(f"The key file {path} is not a key file.") from None
    if not keys or not all(whole):
        raise KeyServiceAway(f"The key file {path} has no usable key.")
    return content


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


# -- blind index ---------------------------------------------------------------------------------


class BlindIndex:
    """Keyed hashes by which sealed values can be found again without being readable.

    HMAC-SHA256 under a key derived by HKDF for (agency, purpose), so that equal texts of two
    agencies or two purposes have nothing in common. The root key does not take part in the rotation
    of key-encryption keys: stored hashes could not be made again. Normalise the text before.
    """

    def __init__(self, root_key: bytes) -> None:
        self._derive: Callable[[str, str], bytes] = lru_cache(maxsize=4096)(
            lambda agency, purpose: _derive(root_key, agency, purpose)
        )

    @classmethod
    def from_file(cls, path: Path | str) -> BlindIndex:
        """Raises KeyServiceAway."""
        return cls(_decode(_read_key_file(Path(path))["index_key"]))

    def __call__(self, agency: str, purpose: str, text: str | bytes) -> bytes:
        """32 bytes."""
        raw = text.encode() if isinstance(text, str) else text
        return hmac.digest(self._derive(agency, purpose), raw, hashlib.sha256)


def _derive(root_key: bytes, agency: str, purpose: str) -> bytes:
    # Lengths first: ("a", "bc") and ("ab", "c") must not meet.
    info = b"".join(
        len(part).to_bytes(4, "big") + part for part in (agency.encode(), purpose.encode())
    )
    return HKDF(SHA256(), _KEY, salt=b"handoff.blind-index.1", info=info).derive(root_key)
