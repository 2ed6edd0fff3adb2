"""A site with one article, and its manifest."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgcache.manifest import Manifest

ARTICLE = b"---\r\ntitle: x\r\nimages:\r\n- url: https://e.org/a.jpg\r\n  width: 1\r\n  height: 2\r\n---\r\nbody\r\n"
FLAGGED = ARTICLE.replace(b"  height: 2\r\n", b"  height: 2\r\n  isCached: true\r\n")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    (site / "cache" / "index" / "staging").mkdir(parents=True)
    (site / "a.md").write_bytes(ARTICLE)
    return site


@pytest.fixture
def manifest(site: Path) -> Manifest:
    return Manifest(site=site, cache=site / "cache", scratch=site / "cache" / "index" / "staging")
