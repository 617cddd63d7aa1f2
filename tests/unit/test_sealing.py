import hashlib
import os
import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.errors import ConfigInvalid, Rejected
from syncd.sealing import NONCE_LENGTH, Sealer, key_from_file, parse_key

MASTER = bytes(range(32))
PERSON = b'{"email": "ana.ruiz@example.com"}'


@pytest.fixture
def sealer():
    return Sealer(MASTER, os.urandom)


@given(data=st.binary(max_size=2000), about=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_what_was_sealed_comes_back_at_its_place(data, about):
    sealer = Sealer(MASTER, os.urandom)
    assert sealer.unseal(sealer.seal(data, about), about) == data


def test_swapped_ciphertexts_are_refused(sealer):
    first, second = sealer.seal(b"one", "intents/1/fields"), sealer.seal(b"two", "intents/2/fields")
    with pytest.raises(Rejected, match="intents/1/fields: the sealed value was changed or belongs elsewhere"):
        sealer.unseal(second, "intents/1/fields")
    with pytest.raises(Rejected):
        sealer.unseal(first, "intents/1/person")


def test_each_flipped_bit_is_noticed(sealer):
    sealed = sealer.seal(PERSON, "intents/1/fields")
    for bit in range(8, len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Rejected):
            sealer.unseal(bytes(changed), "intents/1/fields")


def test_each_cut_is_noticed(sealer):
    sealed = sealer.seal(PERSON, "intents/1/fields")
    for length in range(1, len(sealed)):
        with pytest.raises(Rejected):
            sealer.unseal(sealed[:length], "intents/1/fields")


@pytest.mark.parametrize("sealed", [b"", b"\x02" + bytes(40)])
def test_another_version_is_told_apart_from_a_changed_value(sealer, sealed):
    with pytest.raises(ConfigInvalid, match="does not know"):
        sealer.unseal(sealed, "intents/1/fields")


def test_a_sealed_value_shows_nothing_and_is_sealed_anew_each_time(sealer):
    sealed = sealer.seal(PERSON, "intents/1/fields")
    assert b"ana" not in sealed
    assert sealer.seal(PERSON, "intents/1/fields") != sealed


def test_the_same_chance_seals_alike():
    one, two = (Sealer(MASTER, random.Random(7).randbytes) for _ in range(2))
    assert one.seal(PERSON, "a") == two.seal(PERSON, "a")


def test_each_nonce_is_asked_for():
    asked = []
    sealer = Sealer(MASTER, lambda length: asked.append(length) or os.urandom(length))
    sealer.seal(b"", "a")
    sealer.seal(b"", "a")
    assert asked == [NONCE_LENGTH, NONCE_LENGTH]


def test_another_key_opens_nothing(sealer):
    with pytest.raises(Rejected):
        Sealer(bytes(32), os.urandom).unseal(sealer.seal(PERSON, "a"), "a")


def test_another_key_is_refused_before_anything_is_opened(sealer):
    sealer.require(Sealer(MASTER, os.urandom).key_check)
    for other in (Sealer(bytes(32), os.urandom).key_check, "", "é"):
        with pytest.raises(ConfigInvalid, match="made with another key"):
            sealer.require(other)


def test_digests_are_equal_only_for_the_same_field_text_and_key(sealer):
    digest = sealer.digest("email", "ana.ruiz@example.com")
    assert digest == Sealer(MASTER, os.urandom).digest("email", "ana.ruiz@example.com")
    assert len(digest) == 32
    assert sealer.digest("phone", "ana.ruiz@example.com") != digest
    assert sealer.digest("email", "ana.ruiz@example.org") != digest
    assert Sealer(bytes(32), os.urandom).digest("email", "ana.ruiz@example.com") != digest
    assert sealer.digest("a", "b\0c") != sealer.digest("a\0b", "c")
    assert sealer.digest("a", "bc") != sealer.digest("ab", "c")


@given(text=st.text(st.characters(), max_size=200))
def test_any_text_has_a_digest(text):
    assert len(Sealer(MASTER, os.urandom).digest("name", text)) == 32


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "blake2b"])
def test_a_digest_is_no_unkeyed_hash(sealer, algorithm):
    mail = b"ana.ruiz@example.com"
    plain = hashlib.new(algorithm, mail).hexdigest()
    assert sealer.digest("email", mail.decode())[:16] not in plain


def test_the_key_is_mixed_in_once_per_field_and_not_per_value(sealer):
    for number in range(100):
        sealer.digest("email", f"person{number}@example.com")
        sealer.digest("phone", f"+120255501{number:02}")
    assert sealer._field.cache_info().misses == 2


def test_neither_key_nor_subkeys_are_shown(sealer):
    assert MASTER.hex() not in repr(sealer) + str(sealer)
    assert sealer.key_check not in (MASTER.hex(), MASTER.hex()[:32])


def test_a_key_of_another_length_is_refused():
    with pytest.raises(ConfigInvalid, match="16 bytes"):
        Sealer(bytes(16), os.urandom)


@pytest.mark.parametrize(
    "text", [MASTER.hex(), MASTER.hex().upper() + "\n", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]
)
def test_a_key_is_read_as_hex_or_base64(text):
    assert parse_key(text) == MASTER


@pytest.mark.parametrize("text", ["", "password", "00" * 31, "0" * 63, "AAEC", "é" * 64])
def test_what_is_no_key_is_refused_without_being_shown(text):
    with pytest.raises(ConfigInvalid, match="32 bytes") as refused:
        parse_key(text)
    assert not text or text not in str(refused.value)


# --- the key file


def test_a_key_file_is_made_once_for_its_owner_alone(tmp_path):
    path = tmp_path / "syncd.db.key"
    key = key_from_file(path, os.urandom)
    assert path.stat().st_mode & 0o777 == 0o600
    assert key_from_file(path, os.urandom) == key
    assert [file.name for file in tmp_path.iterdir()] == ["syncd.db.key"]


def test_a_generous_umask_opens_nothing(tmp_path):
    before = os.umask(0)
    try:
        key_from_file(tmp_path / "key", os.urandom)
    finally:
        os.umask(before)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_file_that_others_may_use_is_refused(tmp_path, mode):
    path = tmp_path / "key"
    key_from_file(path, os.urandom)
    path.chmod(mode)
    with pytest.raises(ConfigInvalid, match=f"mode {mode:04o}.*chmod 600"):
        key_from_file(path, os.urandom)


def test_a_key_file_may_be_read_only(tmp_path):
    path = tmp_path / "key"
    key = key_from_file(path, os.urandom)
    path.chmod(0o400)
    assert key_from_file(path, os.urandom) == key


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"00ff", b"x" * 5000])
def test_a_file_without_a_key_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigInvalid, match="holds no key"):
        key_from_file(path, os.urandom)
    assert path.read_bytes() == content


def test_a_folder_that_is_not_there_is_told_in_a_sentence(tmp_path):
    with pytest.raises(ConfigInvalid, match=r"store\.key_file: .* cannot be used: No such file"):
        key_from_file(tmp_path / "nowhere" / "key", os.urandom)


def test_many_that_start_at_once_agree_on_one_key(tmp_path):
    start, keys = threading.Barrier(8), []

    def begin():
        start.wait()
        keys.append(key_from_file(tmp_path / "key", os.urandom))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["key"]
