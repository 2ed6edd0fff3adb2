"""The result of an audit: what reports print, baselines compare and fixes apply.

The JSON of `Audit` is a contract with scripts: keys are added, never renamed.
"""

from __future__ import annotations

import json

import msgspec

from imgcache.core.models import Place, Severity, Size, UrlState
from imgcache.core.unread import UnreadAddresses


class Correction(msgspec.Struct, frozen=True):
    """One certain correction at one place: `url` replaces the URL, `size` the declared size."""

    place: Place
    url: str | None = None
    size: Size | None = None


class Finding(msgspec.Struct, frozen=True):
    """One problem of one image, with all places that refer to it, or of one article or host.

    Attributes:
        rule: the stable name of the kind of problem.
        severity: whether it fails the audit.
        url: as the articles have it, None where the finding is not about an image.
        message: what is wrong.
        article: the article of the first reference, None where there is no reference; `line`, `column` and `field`
            belong to the same reference.
        state: of the URL.
        first_seen: ISO 8601 in UTC, None where the index has no record.
        references: all places.
        remedy: what to do.
        is_old: it existed before the change under review (`--since`, `--baseline`), and does not fail the audit.
        articles: how many articles refer to the image.
        newest: the date of the newest of them, as text that sorts.
        digest: of the cached copy, for its thumbnail.
        changes: what `--fix` would write.
    """

    rule: str
    severity: Severity
    url: str | None
    message: str
    article: str | None = None
    line: int | None = None
    column: int | None = None
    field: str | None = None
    state: UrlState | None = None
    first_seen: str | None = None
    references: tuple[Place, ...] = ()
    remedy: str = ""
    is_old: bool = False
    articles: int = 0
    newest: str = ""
    digest: str | None = None
    changes: tuple[Correction, ...] = ()


class Summary(msgspec.Struct, frozen=True):
    """The counts of an audit. `images` are distinct, remote and own; `ok` of them have no error."""

    references: int
    images: int
    ok: int
    findings: int
    by_rule: dict[str, int]
    articles: int = 0
    old: int = 0  # findings with `is_old`


class HostLine(msgspec.Struct, frozen=True):
    """One foreign host: of `images` probed there, `answered` were images.

    `median` is the median response time in seconds, rounded up to a step (0.1, 0.2, 0.5, 1, …) so that two runs over
    the same state give the same report; None where no image answered. `bytes` is the size of the whole images, as far
    as the host states it.
    """

    host: str
    images: int
    answered: int
    median: float | None
    bytes: int
    articles: int = 0
    cookies: tuple[str, ...] = ()  # the names of the cookies that it sets
    trackers: int = 0  # images of one pixel


class DayLine(msgspec.Struct, frozen=True):
    """The last audit of one day (ISO date): how many images it checked, and how many were failing."""

    day: str
    images: int
    failing: int


class ArticleLine(msgspec.Struct, frozen=True):
    """What one article makes a reader's browser load: its foreign hosts, sorted, and bytes.

    `now` counts the bytes of hotlinked images; `cached` those of the best variants in the cache, None where some image
    is not cached.
    """

    article: str
    hosts: tuple[str, ...]
    now: int
    cached: int | None


class Exposure(msgspec.Struct, frozen=True):
    """What reading the site reveals to other hosts, in total and per article (the most exposed first)."""

    hosts: int = 0
    cookies: int = 0
    trackers: int = 0
    now: int = 0
    cached: int = 0
    articles: tuple[ArticleLine, ...] = ()


class AuditReport(msgspec.Struct, frozen=True):
    """The complete result of an audit, from which every report is made."""

    summary: Summary
    findings: tuple[Finding, ...]
    exposure: Exposure = Exposure()
    hosts: tuple[HostLine, ...] = ()
    history: tuple[DayLine, ...] = ()
    unread: UnreadAddresses = UnreadAddresses()
    images: tuple[str, ...] = ()  # every URL checked, sorted; for reports with a line for each, not in the JSON

    @property
    def passes(self) -> bool:
        """Whether there is no new error; decides the exit status."""
        return all(found.is_old or found.severity is not Severity.ERROR for found in self.findings)

    def to_json(self) -> bytes:
        """Returns the report as one JSON object.

        A URL or path may contain an unpaired surrogate, which JSON text cannot (RFC 7493, section 2.1): it is replaced
        by U+FFFD.
        """
        whole = {name: getattr(self, name) for name in self.__struct_fields__ if name != "images"}
        try:
            return msgspec.json.encode(whole)
        except UnicodeEncodeError:
            text = json.dumps(msgspec.to_builtins(whole), ensure_ascii=False, separators=(",", ":"))
            return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").encode()
