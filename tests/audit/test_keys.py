"""Keyed hashes tell their purposes apart; subject keys open where they belong and nowhere else."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import NotFound, Tampered
from audit.keys import IndexKeys, Keys
from audit.rootkey import LocalRootKey, NoRootKey, from_environment, from_file
from tests.audit.stores import opened

INDEX = IndexKeys(b"i" * 32, 1)


def test_tags_differ_by_purpose_name_value_and_secret() -> None:
    other = IndexKeys(b"j" * 32, 1)
    tags = [
        INDEX.subject("a", "b"),
        INDEX.reference("a", "b"),
        INDEX.prediction("a", "b"),
        INDEX.subject("ab", ""),
        INDEX.subject("", "ab"),
        INDEX.once("a", "b", "c"),
        INDEX.once("a", "c", "b"),
        INDEX.content(b"a"),
        other.subject("a", "b"),
        other.once("a", "b", "c"),
        other.content(b"a"),
    ]
    assert len(set(tags)) == len(tags)
    assert {len(tag) for tag in tags} == {16}


@given(st.text(), st.text())
def test_a_tag_is_the_same_for_every_spelling_of_a_value(scheme: str, id: str) -> None:
    for spelled in (unicodedata.normalize(form, id) for form in ("NFC", "NFD", "NFKC", "NFKD")):
        if unicodedata.normalize("NFKC", spelled) == unicodedata.normalize("NFKC", id):
            assert INDEX.subject(scheme, spelled) == INDEX.subject(scheme, id)


def test_a_subject_key_is_bound_to_its_handle_and_versions(tmp_path: Path) -> None:
    store = opened(tmp_path)
    keys = store.keys()
    with store.database.reading() as connection:
        keys.refresh(connection, 1)
    wrapped = keys.wrap_subject(b"s" * 32, 7, 1)
    assert keys.unwrap_subject(7, 1, 1, wrapped) == b"s" * 32
    for handle, version, store_version in ((8, 1, 1), (7, 2, 1), (7, 1, 2)):
        with pytest.raises(Tampered):
            keys.unwrap_subject(handle, version, store_version, wrapped)
    store.close()


def test_a_state_is_bound_to_its_kind_key_and_version(tmp_path: Path) -> None:
    store = opened(tmp_path)
    keys = store.keys()
    with store.database.reading() as connection:
        keys.refresh(connection, 1)
    sealed = keys.seal_state(b"body", "kind", "key")
    assert keys.open_state(sealed, "kind", "key") == b"body"
    for kind, key, raw in (
        ("other", "key", sealed),
        ("kind", "other", sealed),
        ("kind", "key", b"\0\0\0\2" + sealed[4:]),
        ("kind", "key", sealed[:-1]),
        ("kind", "key", b""),
    ):
        with pytest.raises(Tampered):
            keys.open_state(raw, kind, key)
    store.close()


def test_keys_are_not_used_before_they_are_read() -> None:
    root = LocalRootKey(lambda: [b"r" * 32], os.urandom)
    with pytest.raises(NotFound):
        _ = Keys(root, "example/log", os.urandom).index


@pytest.mark.parametrize("text", ["", "no base64!", "c2hvcnQ="])
def test_a_malformed_root_key_in_the_environment_is_refused(text: str) -> None:
    with pytest.raises(NoRootKey):
        from_environment([text], os.urandom)


@pytest.mark.parametrize("content", ["", "xyz", "00" * 31, "00" * 33])
def test_a_malformed_root_key_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "root.key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(NoRootKey):
        from_file(path, os.urandom, create=True)


def test_two_that_make_a_key_file_at_once_agree(tmp_path: Path) -> None:
    from threading import Barrier, Thread

    start, ids = Barrier(6), list[str]()

    def make() -> None:
        start.wait()
        ids.append(from_file(tmp_path / "keys" / "root.key", os.urandom, create=True).id)

    threads = [Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 6
    assert len(set(ids)) == 1
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["root.key"]
