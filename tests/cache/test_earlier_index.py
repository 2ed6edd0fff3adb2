"""An index whose tables are those of an earlier version: they are made again, and no image is fetched a second time."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from examples.origin import Origin
from tests.conftest import Command

_COMMON = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE image (
  id INTEGER PRIMARY KEY, url TEXT NOT NULL, base TEXT NOT NULL, kind TEXT NOT NULL, host TEXT NOT NULL,
  digest TEXT, stamp INTEGER, recipes TEXT, due REAL, width INTEGER, height INTEGER, code TEXT, message TEXT,
  UNIQUE (url, base));
CREATE TABLE focus (
  article INTEGER NOT NULL, line INTEGER NOT NULL, column INTEGER NOT NULL, image INTEGER NOT NULL, field TEXT NOT NULL,
  x REAL, y REAL, PRIMARY KEY (article, line, column, image)) WITHOUT ROWID;
"""
_ARTICLE = """
CREATE TABLE article (
  id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, mtime_ns INTEGER NOT NULL, size INTEGER NOT NULL,
  digest TEXT NOT NULL, newest TEXT NOT NULL, code TEXT, message TEXT, line INTEGER, column INTEGER,
  is_template INTEGER NOT NULL{});
"""
_REFERENCE = """
CREATE TABLE reference (
  article INTEGER NOT NULL, line INTEGER NOT NULL, column INTEGER NOT NULL, image INTEGER NOT NULL, field TEXT NOT NULL,
  width INTEGER, height INTEGER, is_cached INTEGER, flaggable INTEGER NOT NULL{},
  PRIMARY KEY (article, line, column, image)) WITHOUT ROWID;
CREATE INDEX reference_image ON reference (image);
"""
# By version, the columns that `article` and `reference` had beside those above.
COLUMNS = {
    4: ("", ""),
    5: (", is_data INTEGER NOT NULL", ", in_flagged_list INTEGER NOT NULL, guessed INTEGER NOT NULL"),
}


def written_by_version(catalogue: Path, version: int) -> None:
    """Write the rows of a catalogue into the tables of an earlier version, as it would have left them."""
    with closing(sqlite3.connect(catalogue)) as db:
        db.row_factory = sqlite3.Row
        old = {
            name: db.execute(f"SELECT * FROM {name}").fetchall()
            for name in ("meta", "image", "focus", "article", "reference")
        }
    for file in catalogue.parent.glob(f"{catalogue.name}*"):
        file.unlink()
    of_article, of_reference = COLUMNS[version]
    with closing(sqlite3.connect(catalogue)) as db, db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(_COMMON + _ARTICLE.format(of_article) + _REFERENCE.format(of_reference))
        for table, rows in old.items():
            names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            marks = ", ".join("?" * len(names))
            db.executemany(f"INSERT INTO {table} VALUES ({marks})", [[row[name] for name in names] for row in rows])
        db.execute(f"PRAGMA user_version = {version}")


@pytest.mark.parametrize("version", COLUMNS)
def test_a_sync_makes_the_tables_again_and_fetches_nothing(
    run: Command, origin: Origin, synced: Path, version: int
) -> None:
    before = {path: path.read_bytes() for path in synced.glob("*.md")}
    asked = dict(origin.requests)
    written_by_version(synced / "cache/index/catalogue.db", version)
    report = run("sync", synced, "--json").json()
    assert (report["articles"], report["references"], report["cached"], report["fetched"]) == (2, 3, 2, 0)
    assert (report["flags_set"], report["flags_cleared"], report["problems"]) == (0, 0, [])
    assert dict(origin.requests) == asked
    assert {path: path.read_bytes() for path in synced.glob("*.md")} == before
    assert run("status", synced, "--json").json()["cached"] == 2
    assert run("gc", synced, "--json").json()["copies"] == 0


@pytest.mark.parametrize("version", COLUMNS)
@pytest.mark.parametrize("words", [("status",), ("verify",), ("audit", "--offline"), ("gc", "--dry-run"), ("scan",)])
def test_every_other_command_works_before_that(
    run: Command, synced: Path, version: int, words: tuple[str, ...]
) -> None:
    expected = run(words[0], synced, *words[1:], "--json")
    written_by_version(synced / "cache/index/catalogue.db", version)
    ended = run(words[0], synced, *words[1:], "--json")
    assert (ended.code, ended.json()) == (expected.code, expected.json())
