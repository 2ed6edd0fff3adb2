"""The schema of the catalogue."""

from __future__ import annotations

from imgcache.cache.index.tables import TableLayout

VERSION = 7
# References are stored beside the others of their article, in the order of the text: so they are written and read.
REFERENCE_IMAGE = "CREATE INDEX reference_image ON reference (image);"
_SCHEMA = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE article (
  id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, mtime_ns INTEGER NOT NULL, size INTEGER NOT NULL,
  digest TEXT NOT NULL, newest TEXT NOT NULL, title TEXT NOT NULL, code TEXT, message TEXT,
  line INTEGER, column INTEGER, is_template INTEGER NOT NULL, is_data INTEGER NOT NULL);
CREATE TABLE image (
  id INTEGER PRIMARY KEY, url TEXT NOT NULL, base TEXT NOT NULL, kind TEXT NOT NULL, host TEXT NOT NULL,
  digest TEXT, stamp INTEGER, recipes TEXT, due REAL, width INTEGER, height INTEGER, code TEXT, message TEXT,
  UNIQUE (url, base));
CREATE TABLE reference (
  article INTEGER NOT NULL, line INTEGER NOT NULL, column INTEGER NOT NULL, image INTEGER NOT NULL, field TEXT NOT NULL,
  width INTEGER, height INTEGER, is_cached INTEGER, flaggable INTEGER NOT NULL,
  in_flagged_list INTEGER NOT NULL, guessed INTEGER NOT NULL,
  PRIMARY KEY (article, line, column, image)) WITHOUT ROWID;
{REFERENCE_IMAGE}
CREATE TABLE focus (
  article INTEGER NOT NULL, line INTEGER NOT NULL, column INTEGER NOT NULL, image INTEGER NOT NULL, field TEXT NOT NULL,
  x REAL, y REAL,
  PRIMARY KEY (article, line, column, image)) WITHOUT ROWID;
CREATE TABLE unread (
  article INTEGER NOT NULL, line INTEGER NOT NULL, column INTEGER NOT NULL, url TEXT NOT NULL,
  PRIMARY KEY (article, line, column)) WITHOUT ROWID;
"""
LAYOUT = TableLayout(_SCHEMA, VERSION)
