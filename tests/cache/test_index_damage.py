"""A damaged index is detected, renamed and rebuilt; nothing in it is ever executed."""

from __future__ import annotations

import os
import pickle
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from imgcache.cache import HeldEntry, Index
from imgcache.cache.index.index import Counts
from imgcache.core import Copy, Failure, IndexDamaged
from imgcache.manifest import Manifest
from tests.support.cache_samples import opened, put, sha256

URL = "https://example.org/a.jpg"
COPY = Copy("1" * 64, 10.0, 20.0)
FAILURE = Failure("http-status", "404 Not Found", 1.0, 2.0, 3, 404)


def _file(tmp_path: Path) -> Path:
    """Writes an index with a few records."""
    index = Index(tmp_path / "index")
    with index.batch():
        for number in range(400):
            index.put_copy(f"{URL}?{number}", COPY)
        index.put_failure(URL, FAILURE)
        index.forget("https://example.org/never", 1.0)
    index.close()
    return tmp_path / "index" / "cache.db"


def _sql(file: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(file, isolation_level=None)
    assert connection.execute(statement, values).rowcount != 0
    connection.close()


def _garbage(file: Path) -> None:
    file.write_bytes(b"\x1b[31mnot a database" * 500)


def _truncated(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _cut_in_the_head(file: Path) -> None:
    os.truncate(file, 50)


def _scribbled(file: Path) -> None:
    data = bytearray(file.read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    file.write_bytes(data)


def _of_another_version(file: Path) -> None:
    _sql(file, "UPDATE Cache SET value = x'39' WHERE key = CAST('-layout' AS BLOB)")


def _without_its_table(file: Path) -> None:
    _sql(file, "DROP TABLE Cache")


def _with_strange_settings(file: Path) -> None:
    _sql(file, "INSERT INTO Settings VALUES ('sqlite_writable_schema', 1)")


_harms = [
    _garbage, _truncated, _cut_in_the_head, _scribbled, _of_another_version, _without_its_table, _with_strange_settings
]  # fmt: skip


@pytest.mark.parametrize("harm", _harms)
def test_a_damaged_file_is_renamed_and_replaced(tmp_path: Path, harm: object) -> None:
    file = _file(tmp_path)
    assert callable(harm)
    harm(file)
    bytes_before = file.read_bytes()
    if harm not in {_scribbled, _truncated}:  # a reader does not read the whole file to find out
        with pytest.raises(IndexDamaged, match=r"cache\.db"):
            Index(tmp_path / "index", repair=False)
        assert file.read_bytes() == bytes_before
    index = Index(tmp_path / "index")
    assert index.damaged
    assert index.fresh
    assert file.with_name("cache.db.damaged").read_bytes() == bytes_before
    assert index.counts() == Counts(0, 0, 0, 0)
    index.put_copy(URL, COPY)
    index.close()
    again = Index(tmp_path / "index")
    assert not again.damaged
    assert again.copy(URL) == COPY
    again.close()


def test_a_writer_notices_damage_to_any_page(tmp_path: Path) -> None:
    file = _file(tmp_path)
    data = file.read_bytes()
    pages = range(1, len(data) // 4096, 4)
    unseen_by_reader = 0
    for page in pages:
        file.write_bytes(data[: page * 4096] + b"\xff" * 64 + data[page * 4096 + 64 :])
        try:
            Index(tmp_path / "index", repair=False).close()
            unseen_by_reader += 1
        except IndexDamaged:
            pass
        index = Index(tmp_path / "index")
        assert index.damaged, f"page {page}"
        index.close()
    assert len(pages) > 5
    assert unseen_by_reader


def test_an_empty_file_is_treated_as_new(tmp_path: Path) -> None:
    (tmp_path / "cache.db").touch()
    index = Index(tmp_path)
    assert index.fresh
    assert not index.damaged
    index.close()


@pytest.mark.parametrize("value", [b"", b"{", b'{"digest":5}', b"\xff\xfe", b'{"digest":"\xff"}'])
def test_a_record_that_cannot_be_decoded_marks_the_file_as_damaged(tmp_path: Path, value: bytes) -> None:
    file = _file(tmp_path)
    _sql(file, "UPDATE Cache SET value = ? WHERE key = ?", value, b"c" + f"{URL}?7".encode())
    index = Index(tmp_path / "index")
    assert not index.damaged
    assert index.copy(f"{URL}?6") == COPY
    with pytest.raises(IndexDamaged, match=r"a\.jpg\?7 cannot be read"):
        index.copy(f"{URL}?7")
    with pytest.raises(IndexDamaged):
        list(index.copies())
    index.close()
    again = Index(tmp_path / "index")
    assert again.damaged
    again.close()
    assert not file.with_name("cache.db.condemned").exists()


def test_records_are_never_unpickled(tmp_path: Path) -> None:
    file = _file(tmp_path)
    mark = tmp_path / "executed"
    bomb = pickle.dumps(_Exec(str(mark)))
    assert pickle.loads(bomb) is None
    assert mark.exists()
    mark.unlink()
    (tmp_path / "index" / "bomb.val").write_bytes(bomb)
    _sql(file, "UPDATE Cache SET mode = 4, value = ?", bomb)
    _sql(file, "UPDATE Cache SET filename = 'bomb.val', value = NULL WHERE key > CAST('cz' AS BLOB)")
    _sql(file, "INSERT INTO Cache (key, raw, mode, value) VALUES (?, 0, 4, ?)", bomb, bomb)
    for mend in (False, True):
        try:
            index = Index(tmp_path / "index", repair=mend)
        except IndexDamaged:
            continue
        index.close()
    connection = sqlite3.connect(file.with_name("cache.db.damaged"))
    assert connection.execute("SELECT COUNT(*) FROM Cache WHERE mode = 4").fetchone()[0] > 400
    connection.close()
    assert not mark.exists()


class _Exec:
    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (f"open({self._path!r}, 'w').close()",)


def test_a_pickled_record_among_valid_ones_counts_as_damage(tmp_path: Path) -> None:
    file = _file(tmp_path)
    mark = tmp_path / "executed"
    _sql(
        file,
        "UPDATE Cache SET mode = 4, value = ? WHERE key = ?",
        pickle.dumps(_Exec(str(mark))),
        b"c" + f"{URL}?7".encode(),
    )
    _sql(file, "UPDATE Cache SET value = 'text' WHERE key = ?", b"c" + f"{URL}?8".encode())
    index = Index(tmp_path / "index")
    for number in (7, 8):
        with pytest.raises(IndexDamaged):
            index.copy(f"{URL}?{number}")
    with pytest.raises(IndexDamaged):
        list(index.copies())
    index.close()
    assert not mark.exists()


def test_the_index_is_rebuilt_from_manifest_and_files_without_a_network(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    store = opened(cache)
    manifest = Manifest(site=tmp_path, cache=cache, scratch=store.scratch)
    index = Index(cache / "index")
    whole = put(store, b"whole", {"w320.webp": b"w"})
    partly = put(store, b"partly", {"w320.webp": b"p", "w640.webp": b"q"})
    lost = put(store, b"lost", {})
    for url, asset in {"u:1": whole, "u:2": whole, "u:3": partly, "u:4": lost, "u:5": whole}.items():
        index.put_asset(asset)
        index.put_copy(url, Copy(asset.digest, 1.0, 2.0))
    index.put_failure("u:9", FAILURE)
    manifest.export(index)
    index.forget("u:5", 3.0)
    index.close()
    store.discard([lost.original, partly.variants[0].path])
    _sql(cache / "index" / "cache.db", "UPDATE Cache SET value = x'00' WHERE key = CAST('cu:3' AS BLOB)")
    index = Index(cache / "index")
    with pytest.raises(IndexDamaged):
        index.copy("u:3")
    index.close()

    index = Index(cache / "index")
    assert index.damaged
    said = manifest.read().items()
    assert index.rebuild((HeldEntry(url, entry.asset(), entry.robots_tag) for url, entry in said), store) == 3
    entries = {held.url: held.asset for held in index.entries()}
    assert list(entries) == ["u:1", "u:2", "u:3"]
    assert [v.path for v in entries["u:1"].variants] == [v.path for v in whole.variants]
    assert [v.digest for v in entries["u:1"].variants] == [sha256(b"w")]
    assert [v.name for v in entries["u:3"].variants] == ["w640"]
    assert entries["u:1"].recipes == ()
    assert [store.damage(asset) for asset in entries.values()] == [(), (), ()]
    copy = index.copy("u:1")
    assert copy is not None and copy.checked_at == copy.fetched_at == store.original(whole).stat().st_mtime
    assert index.failure("u:9") == FAILURE
    assert index.forgotten("u:5")
    assert index.changed
    index.close()
    store.close()


_POWERLESS = """
import os, sys
from pathlib import Path
from imgcache.core.errors import DiskFull
from imgcache.cache.index.index import Index
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
try:
    Index(Path(sys.argv[1]))
except DiskFull as error:
    print(error)
"""


def test_missing_write_permission_is_reported_and_changes_nothing(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as root:
        file = _file(Path(root))
        for path in (Path(root), file.parent):
            path.chmod(0o555)
        for path in file.parent.iterdir():
            path.chmod(0o444)
        try:
            ran = subprocess.run(
                [sys.executable, "-c", _POWERLESS, str(file.parent)],
                capture_output=True, text=True, check=True, timeout=60,
            )  # fmt: skip
        finally:
            for path in (Path(root), file.parent):
                path.chmod(0o755)
        assert "cache.db cannot be written" in ran.stdout
        index = Index(file.parent, repair=False)
        assert index.counts().copies == 400
        index.close()
