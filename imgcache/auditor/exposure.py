"""Measures what the site's readers are exposed to: other hosts, cookies, trackers, bytes. Pure.

An entry whose isCached is true is served from the cache and sends readers to no other host. Every other use of a remote
image does, including those in bodies and in lists without flags. Bytes are those of the whole image as its host states
them, or of the cached copy if no host was contacted; unknown bytes count as 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby

from imgcache.auditor import remedies
from imgcache.auditor.finding_factory import places_finding
from imgcache.auditor.host_counts import HostCounts
from imgcache.cache import HotlinkedUse
from imgcache.config import ReaderBudget
from imgcache.core import ArticleLine, Asset, Exposure, Finding, Place, Severity, format_bytes, plural

BEST_WIDTH = 640  # pixels: the width of a column of text on most screens


def best_bytes(asset: Asset) -> int:
    """Returns how many bytes a reader would load of a cached copy.

    Those of the variant whose width is nearest to `BEST_WIDTH` (of two, the smaller file), or of the original if it is
    smaller.
    """
    nearest = min(asset.variants, key=lambda variant: (abs(variant.width - BEST_WIDTH), variant.bytes), default=None)
    return min(asset.bytes, nearest.bytes) if nearest else asset.bytes


def measure_exposure(
    uses: Iterable[HotlinkedUse], redirect_hosts: Mapping[int, frozenset[str]], counts: HostCounts
) -> Exposure:
    """Returns the exposure of a whole site.

    Args:
        uses: grouped by article, each with every remote image once.
        redirect_hosts: by image, the hosts that its redirects lead through.
        counts: what the hosts answered. The number of articles that name each host is added to it.
    """
    lines: list[ArticleLine] = []
    images: dict[int, tuple[int, int]] = {}
    hosts: set[str] = set()
    for article, group in groupby(uses, key=lambda use: use.article):
        of_article = list(group)
        counts.add_article({use.host for use in of_article})
        linked = [use for use in of_article if use.is_hotlinked]
        if not linked:
            continue
        reached = {use.host for use in linked}.union(*(redirect_hosts.get(use.image, ()) for use in linked))
        hosts |= reached
        images |= {use.image: (_now(use), _cached(use)) for use in linked}
        lines.append(_line(article, reached, linked))
    lines.sort(key=lambda line: (-len(line.hosts), -line.now, line.article))
    return Exposure(
        hosts=len(hosts),
        cookies=counts.cookies,
        trackers=counts.trackers,
        now=sum(now for now, _ in images.values()),
        cached=sum(cached for _, cached in images.values()),
        articles=tuple(lines),
    )


def _line(article: str, hosts: set[str], linked: list[HotlinkedUse]) -> ArticleLine:
    best = [use.best_bytes for use in linked if use.best_bytes is not None]
    cached = sum(best) if len(best) == len(linked) else None
    return ArticleLine(article, tuple(sorted(hosts)), sum(map(_now, linked)), cached)


def _now(use: HotlinkedUse) -> int:
    return use.total_bytes or use.copy_bytes or 0


def _cached(use: HotlinkedUse) -> int:
    return _now(use) if use.best_bytes is None else use.best_bytes


def over_budget(exposure: Exposure, budget: ReaderBudget) -> Iterable[Finding]:
    """Yields a finding for each article that exceeds the reader budget of imgcache.yml."""
    for line in exposure.articles:
        place = [Place(line.article, 1, 1, "")]
        if budget.hosts is not None and len(line.hosts) > budget.hosts:
            hosts = ", ".join(line.hosts[:5]) + (", …" if len(line.hosts) > 5 else "")
            reached = plural(len(line.hosts), "other host")
            message = f"readers are sent to {reached}, {budget.hosts} allowed: {hosts}"
            yield places_finding(place, "budget-hosts", Severity.ERROR, message, remedies.HOSTS)
        limit = budget.bytes_per_article
        if limit is not None and line.now > limit:
            message = f"readers load {format_bytes(line.now)} from other hosts, {format_bytes(limit)} allowed"
            yield places_finding(place, "budget-bytes", Severity.ERROR, message, remedies.BYTES)
