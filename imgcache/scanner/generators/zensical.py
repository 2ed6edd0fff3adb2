"""Zensical: `zensical.toml`, with the settings of MkDocs under `project` (https://zensical.org/docs/setup/basics/)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from imgcache.scanner.generators import mkdocs
from imgcache.scanner.generators.layout import Layout
from imgcache.scanner.generators.settings import read


def layout(root: Path, file: str) -> Layout:
    """Return the layout of a site of Zensical."""
    project = read(root / (file or "zensical.toml")).get("project")
    return mkdocs.of(project if isinstance(project, Mapping) else {})
