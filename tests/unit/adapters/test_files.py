import errno
import os

import pytest

from headwater.adapters.files import seal, unseal, write_whole
from headwater.core.errors import CorruptTable, StorageError


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "deep" / "file"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_leaves_what_was_there_and_no_rest(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_whole(path, b"one")

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        write_whole(path, b"two")
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


def test_every_single_changed_byte_is_noticed(tmp_path):
    path = tmp_path / "file"
    content = seal(b"content\nwith lines")
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(CorruptTable):
            unseal(path)
    path.write_bytes(content[:-1])
    with pytest.raises(CorruptTable):
        unseal(path)
    path.write_bytes(content)
    assert unseal(path) == b"content\nwith lines"


def test_a_missing_file_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError):
        unseal(tmp_path / "none")
