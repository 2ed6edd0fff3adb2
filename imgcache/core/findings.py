"""What an audit found: the nouns that reports print, baselines compare and fixes apply. Pure.

The JSON of `Audit` is a contract with scripts: keys are added, never renamed.
"""

from __future__ import annotations

import json

import msgspec

from imgcache.core.models import Place, Severity, Size, UrlState


class Correction(msgspec.Struct, frozen=True):
    """One certain correction of one place: `url` in place of the URL there, `size` in place of the declared one."""

    place: Place
    url: str | None = None
    size: Size | None = None


class Finding(msgspec.Struct, frozen=True):
    """One thing wrong with one image, however many places name it, or with one article or host.

    `url` is what the articles have, None where the finding is about no image. `article`, `line`, `column`, `field` are
    the first of `references`, None where there is none. `message` says what is wrong, `remedy` what to do.
    `first_seen` is ISO 8601 in UTC, None where the index does not know. `is_old`: it was there before the change that
    is looked at (`--since`, `--baseline`), and does not fail the audit. `changes` are what `--fix` would write.
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
    articles: int = 0  # how many name it
    newest: str = ""  # the date of the newest of them, as text that sorts
    digest: str | None = None  # of the copy held, for its thumbnail
    changes: tuple[Correction, ...] = ()


class Summary(msgspec.Struct, frozen=True):
    """The counts. `images` are distinct, remote and own; `ok` of them have no finding that is an error."""

    references: int
    images: int
    ok: int
    findings: int
    by_rule: dict[str, int]
    articles: int = 0
    old: int = 0  # findings that were there before


class HostLine(msgspec.Struct, frozen=True):
    """One foreign host: of `images` asked there, `answered` came with a picture, in `median` seconds at most.

    `median` is rounded up to a step (0.1, 0.2, 0.5, 1, …), so that two runs over the same state say the same; None
    where none answered. `bytes` are those of the whole pictures, as far as hosts say.
    """

    host: str
    images: int
    answered: int
    median: float | None
    bytes: int
    articles: int = 0
    cookies: tuple[str, ...] = ()  # names that its answers set
    trackers: int = 0  # pictures of one pixel


class DayLine(msgspec.Struct, frozen=True):
    """The last audit of one day (ISO date): how many images it looked at, and how many were failing."""

    day: str
    images: int
    failing: int


class ArticleLine(msgspec.Struct, frozen=True):
    """Where one article sends a reader's browser: foreign hosts, sorted, and bytes now against bytes if cached.

    `now` counts what is hotlinked; `cached` the best variant of the copies we hold, None where not all are held.
    """

    article: str
    hosts: tuple[str, ...]
    now: int
    cached: int | None


class Exposure(msgspec.Struct, frozen=True):
    """What reading the site tells strangers, in sum and per article (the most exposed first)."""

    hosts: int = 0
    cookies: int = 0
    trackers: int = 0
    now: int = 0
    cached: int = 0
    articles: tuple[ArticleLine, ...] = ()


class AuditReport(msgspec.Struct, frozen=True):
    """One audit, whole: what every report is made from."""

    summary: Summary
    findings: tuple[Finding, ...]
    exposure: Exposure = Exposure()
    hosts: tuple[HostLine, ...] = ()
    history: tuple[DayLine, ...] = ()
    images: tuple[str, ...] = ()  # every URL looked at, sorted; for a report with a line for each, not in the JSON

    @property
    def is_well(self) -> bool:
        """Whether no error is new: what the exit status says."""
        return all(found.is_old or found.severity is not Severity.ERROR for found in self.findings)

    def to_json(self) -> bytes:
        """One object, findings as they are sorted.

        A URL or path may hold half a surrogate pair, which is no text (RFC 7493, section 2.1): U+FFFD stands for it.
        """
        whole = {name: getattr(self, name) for name in self.__struct_fields__ if name != "images"}
        try:
            return msgspec.json.encode(whole)
        except UnicodeEncodeError:
            text = json.dumps(msgspec.to_builtins(whole), ensure_ascii=False, separators=(",", ":"))
            return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").encode()
