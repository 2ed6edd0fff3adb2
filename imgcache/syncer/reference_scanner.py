"""What a sync asks of the part that reads references."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from imgcache.cache import Catalogue
from imgcache.scanner import ScanResult


class ReferenceScanner(Protocol):
    """Reads what names images into the catalogue: the articles of a site, or the pages of a built folder."""

    def scan(self, catalogue: Catalogue, on_article: Callable[[], None] = ...) -> ScanResult:
        """Bring the catalogue up to date."""

    def require_articles(self, scan: ScanResult, catalogue: Catalogue) -> None:
        """Raise ConfigError where a scan found nothing to work on."""
