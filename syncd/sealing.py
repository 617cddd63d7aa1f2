"""One master key, and what is done with it: values sealed while they wait to be written, digests that stand for values.

The key stands outside the database, so whoever has the database alone learns no person's data: sealed values are
AES-256-GCM (NIST SP 800-38D) bound to the row and column they belong to, digests are keyed BLAKE2b (RFC 7693), and each
purpose has a subkey of its own by HKDF (RFC 5869). A sealed value begins with a version byte, so that another key or
cipher can be told apart later. Nonces come from the entropy that is passed in: ``os.urandom`` in production.

Values can be sealed anew under another master, digests cannot be made anew without their values. So the keys of
digests are keys of their own, which the store keeps sealed (``wrapped``): another master wraps them again, and all
digests stay.
"""

import base64
import binascii
import hashlib
import hmac
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from syncd.errors import ConfigInvalid, Rejected

KEY_LENGTH = 32  # bytes
NONCE_LENGTH = 12  # bytes, as SP 800-38D advises; random ones serve for 2**32 values
DIGEST_LENGTH = 16  # bytes
VERSION = b"\x01"

Entropy = Callable[[int], bytes]  # so many random bytes


DIGESTS, TOMBSTONES = "digests", "tombstones"  # what the store's own keys are for


class Sealer:
    """Seals, unseals and digests. One master key of 32 bytes is in force; what others sealed is read too.

    Without the store's own keys (see ``unwrap``) digests are made under keys that follow from the first master.
    """

    def __init__(self, master: bytes, entropy: Entropy) -> None:
        self.entropy = entropy
        self._ciphers: dict[str, AESGCM] = {}
        self.key_check = self.learn(master)
        self._own: dict[str, bytes] = {purpose: _subkey(master, purpose) for purpose in (DIGESTS, TOMBSTONES)}
        self._take_up()

    def __repr__(self) -> str:
        return "Sealer(…)"

    def learn(self, master: bytes) -> str:
        """Know one more master, to read what it sealed; its check value."""
        if len(master) != KEY_LENGTH:
            raise ConfigInvalid(f"the key has {len(master)} bytes; it must have {KEY_LENGTH}")
        check = _subkey(master, "key check")[:DIGEST_LENGTH].hex()
        self._ciphers[check] = AESGCM(_subkey(master, "sealed values"))
        return check

    def knows(self, key_check: str) -> bool:
        """Whether a master is known, by its check value."""
        return key_check in self._ciphers

    def seal(self, data: bytes, about: str) -> bytes:
        """Encrypt ``data`` for the one place that ``about`` names (table, row and column)."""
        nonce = self.entropy(NONCE_LENGTH)
        return VERSION + nonce + self._ciphers[self.key_check].encrypt(nonce, data, _bound(about))

    def unseal(self, sealed: bytes, about: str) -> bytes:
        """Decrypt what was sealed for ``about``.

        Raises ``Rejected`` where it was changed, cut or belongs elsewhere, ``ConfigInvalid`` where another version of
        syncd sealed it.
        """
        if sealed[:1] != VERSION:
            raise ConfigInvalid(f"{about}: sealed in a form that this version of syncd does not know")
        nonce, rest = sealed[1 : 1 + NONCE_LENGTH], sealed[1 + NONCE_LENGTH :]
        for cipher in self._ciphers.values():
            with suppress(InvalidTag, ValueError):  # ValueError: cut so short that it has no nonce
                return cipher.decrypt(nonce, rest, _bound(about))
        raise Rejected(f"{about}: the sealed value was changed or belongs elsewhere")

    def digest(self, field: str, text: str) -> str:
        """The keyed digest (32 hex digits) of a field's canonical text; equal texts of other fields differ."""
        state = self._field(field).copy()
        state.update(text.encode("utf-8", "surrogatepass"))
        return str(state.hexdigest())

    def tombstone(self, what: str, text: str) -> str:
        """The keyed digest (32 hex digits) of what names an erased person; the key is used for nothing else."""
        state = self._grave(what).copy()
        state.update(text.encode("utf-8", "surrogatepass"))
        return str(state.hexdigest())

    def require(self, key_check: str) -> None:
        """The store was made with this master: it is in force from now on. ``ConfigInvalid`` where it is not known."""
        known = [check for check in self._ciphers if hmac.compare_digest(key_check.encode(), check.encode())]
        if not known:
            raise ConfigInvalid(
                "store.key: the store was made with another key; give back its key, or its key file (store.key_file)"
            )
        self.key_check = known[0]

    # the store's own keys

    def make_own(self, purpose: str) -> None:
        """Draw one of the store's own keys."""
        self._own[purpose] = self.entropy(KEY_LENGTH)
        self._take_up()

    def wrapped(self, purpose: str) -> str:
        """One of the store's own keys, sealed under the master in force, as text."""
        return base64.b64encode(self.seal(self._own[purpose], f"keys/{purpose}")).decode()

    def unwrap(self, purpose: str, text: str) -> None:
        """Take up one of the store's own keys; raises ``Rejected`` where no known master has sealed it."""
        self._own[purpose] = self.unseal(base64.b64decode(text), f"keys/{purpose}")
        self._take_up()

    def _take_up(self) -> None:
        self._field = lru_cache(maxsize=1000)(partial(_begin, self._own[DIGESTS]))
        self._grave = lru_cache(maxsize=100)(partial(_begin, self._own[TOMBSTONES]))


def _begin(key: bytes, field: str) -> Any:
    # The key takes a compression of its own; done once per field, a digest costs half.
    state = hashlib.blake2b(key=key, digest_size=DIGEST_LENGTH)
    name = field.encode("utf-8", "surrogatepass")
    state.update(len(name).to_bytes(4) + name)  # with its length, so that no text can continue a field's name
    return state


def _subkey(master: bytes, purpose: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_LENGTH, salt=None, info=f"syncd 1: {purpose}".encode()).derive(master)


def _bound(about: str) -> bytes:
    return VERSION + about.encode()


# --- where the key is kept ------------------------------------------------------------------------------------------


def parse_key(text: str) -> bytes:
    """Read a key as 64 hex digits or base64 of 32 bytes; raises ``ConfigInvalid``."""
    word = text.strip()
    for read in (bytes.fromhex, _from_base64):
        try:
            key = read(word)
        except (ValueError, binascii.Error):
            continue
        if len(key) == KEY_LENGTH:
            return key
    raise ConfigInvalid("a key is 32 bytes, as 64 hex digits or as base64; `openssl rand -base64 32` makes one")


def _from_base64(word: str) -> bytes:
    return base64.b64decode(word, validate=True)


def key_from_file(path: Path, entropy: Entropy) -> bytes:
    """The key that a file of mode 0600 holds; a file that is not there is made. Raises ``ConfigInvalid``."""
    try:
        if not path.exists():
            _make_key_file(path, entropy)
        return _read_key_file(path)
    except OSError as error:
        raise ConfigInvalid(f"store.key_file: {path} cannot be used: {error.strerror}") from error


def _read_key_file(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        content = file.read(1000)
    if mode & 0o077:
        raise ConfigInvalid(f"store.key_file: others may use {path} (mode {mode:04o}); run: chmod 600 {path}")
    try:
        return parse_key(content.decode("ascii"))
    except (UnicodeDecodeError, ConfigInvalid):
        raise ConfigInvalid(
            f"store.key_file: {path} holds no key; put back the file that the store was made with"
        ) from None


def _make_key_file(path: Path, entropy: Entropy) -> None:
    """Make the file whole or not at all, though a stop come between or another process do the same."""
    fresh = path.with_name(f"{path.name}.{entropy(8).hex()}")
    write_synced(fresh, entropy(KEY_LENGTH).hex() + "\n")
    try:
        path.hardlink_to(fresh)
    except FileExistsError:
        pass  # another process was first: its key is the key
    finally:
        fresh.unlink()
    _sync_folder(path.parent)


def write_synced(path: Path, text: str) -> None:
    """Make a file of mode 0600 with this text, on the disk before this returns; none may be there."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def replace_synced(path: Path, text: str) -> None:
    """Put a file of mode 0600 with this text in the place of another, whole or not at all."""
    fresh = path.with_name(f"{path.name}.fresh")
    fresh.unlink(missing_ok=True)  # what a stop has left
    write_synced(fresh, text)
    fresh.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
