"""What reading the site tells strangers: hosts, cookies, trackers, bytes. Pure.

An entry whose isCached is true is served from the cache: it sends nobody anywhere. Every other use of a remote image
does, those in bodies and under lists without flags included. Bytes are those of the whole picture as its host says, or,
where no host was asked, of the copy held; what neither says counts as 0.
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

BEST_WIDTH = 640  # pixels: what a column of text shows on most screens


def best_bytes(asset: Asset) -> int:
    """What a reader would load of a copy: the variant nearest to `BEST_WIDTH` wide, of two such the smaller.

    The original where no variant has fewer bytes.
    """
    nearest = min(asset.variants, key=lambda one: (abs(one.width - BEST_WIDTH), one.bytes), default=None)
    return min(asset.bytes, nearest.bytes) if nearest else asset.bytes


def measure_exposure(uses: Iterable[HotlinkedUse], ways: Mapping[int, frozenset[str]], tally: HostCounts) -> Exposure:
    """The exposure of a whole site.

    Args:
        uses: article by article, each with every remote image once.
        ways: the hosts that the redirects of an image lead through.
        tally: what the hosts answered; how many articles name each is entered here.
    """
    lines: list[ArticleLine] = []
    images: dict[int, tuple[int, int]] = {}
    hosts: set[str] = set()
    for article, group in groupby(uses, key=lambda use: use.article):
        named = list(group)
        tally.enter({use.host for use in named})
        linked = [use for use in named if use.is_hotlinked]
        if not linked:
            continue
        reached = {use.host for use in linked}.union(*(ways.get(use.image, ()) for use in linked))
        hosts |= reached
        images |= {use.image: (_now(use), _cached(use)) for use in linked}
        lines.append(_line(article, reached, linked))
    lines.sort(key=lambda line: (-len(line.hosts), -line.now, line.article))
    return Exposure(
        hosts=len(hosts),
        cookies=tally.cookies,
        trackers=tally.trackers,
        now=sum(now for now, _ in images.values()),
        cached=sum(cached for _, cached in images.values()),
        articles=tuple(lines),
    )


def _line(article: str, hosts: set[str], linked: list[HotlinkedUse]) -> ArticleLine:
    best = [use.best for use in linked if use.best is not None]
    cached = sum(best) if len(best) == len(linked) else None
    return ArticleLine(article, tuple(sorted(hosts)), sum(map(_now, linked)), cached)


def _now(use: HotlinkedUse) -> int:
    return use.total or use.held or 0


def _cached(use: HotlinkedUse) -> int:
    return _now(use) if use.best is None else use.best


def over_budget(exposure: Exposure, budget: ReaderBudget) -> Iterable[Finding]:
    """A finding for each article that costs its reader more than is allowed."""
    for line in exposure.articles:
        place = [Place(line.article, 1, 1, "")]
        if budget.hosts is not None and len(line.hosts) > budget.hosts:
            hosts = ", ".join(line.hosts[:5]) + (", …" if len(line.hosts) > 5 else "")
            message = f"readers are sent to {_hosts(len(line.hosts))}; {budget.hosts} are allowed: {hosts}"
            yield places_finding(place, "budget-hosts", Severity.ERROR, message, remedies.HOSTS)
        most = budget.bytes_per_article
        if most is not None and line.now > most:
            message = f"readers load {format_bytes(line.now)} from other hosts; {format_bytes(most)} are allowed"
            yield places_finding(place, "budget-bytes", Severity.ERROR, message, remedies.BYTES)


def _hosts(count: int) -> str:
    return plural(count, "other host")
