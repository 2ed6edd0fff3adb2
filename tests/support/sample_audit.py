"""One audit with everything in it that a report has to bear: for the golden files and the browser."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from imgcache.auditor.reports import ReportContext
from imgcache.core import (
    ArticleLine,
    AuditReport,
    Correction,
    DayLine,
    Exposure,
    Finding,
    HostLine,
    Place,
    Severity,
    Size,
    Summary,
    UrlState,
)

HELD, HELD_BARELY = "a1" * 32, "b2" * 32
HARM = '</script><script>alert(1)</script>"><img src=x onerror=alert(2)>'
MARKUP = "]]> &amp; ${{ secrets.X }} {{7*7}} {% x %} [a](http://evil.example) `b` | <b>"
CONTROLS = "\x1b[31m\x00\x07\u202e\n::error::gotcha\r\n##[add-mask]a\ufffe"
THUMBNAIL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAwAAAAIBAMAAAA/ygPCAAAAMFBMVEWam7GajLFwlpyafbFwfZxMlooulntMfYoufXuaabGaWrFw"
    "aZxwWpxMaYpMWoouZHuNfFISAAAALklEQVR42kXIwREAEAwAwWPSvO5UkNHBVRD8eO62415J4FY6AMSw5ldaKQHw8gKH6hJHaZ7Q"
    "MQAAAABJRU5ErkJggg=="
)  # 12×8 pixels


def places(count: int, field: str = "images") -> tuple[Place, ...]:
    """A number of places, each in its own article."""
    return tuple(
        Place(f"_news/2026-01-{number:02}-day.md", 7 + number % 5, 10, field) for number in range(1, count + 1)
    )


def finding(rule: str, severity: Severity, url: str | None, message: str, *at: Place, **fields: object) -> Finding:
    """A finding whose first place is the first of its references."""
    first = at[0] if at else None
    return Finding(
        rule,
        severity,
        url,
        message,
        article=first.article if first else None,
        line=first.line if first else None,
        column=first.column if first else None,
        field=first.field if first else None,
        references=at,
        articles=len({place.article for place in at}),
        newest=max((place.article[6:16] for place in at), default=""),
        **fields,  # type: ignore[arg-type]
    )


DOME = "https://cdn.skywatch.example/observatory/dome.jpg"
GULLS = "https://img.river-post.example/möwen/ufer.jpg?w=1024&h=576"
SECRET = "https://editor:hunter2@files.example/private.png"
OLD = "http://old-host.example/a.gif"

BEACH = Place("_news/möwen & meer.md", 12, 10, "related.images")
FINDINGS = (
    finding(
        "http-status",
        Severity.ERROR,
        DOME,
        "the server answered 404 Not Found",
        *places(40),
        state=UrlState.DEAD,
        first_seen="2026-01-14T08:00:00Z",
        remedy="write the address of the copy we hold, or take it out",
        digest=HELD,
    ),
    finding(
        "dimensions",
        Severity.ERROR,
        GULLS,
        "declared 1024×576, the image is 576×1024",
        BEACH,
        Place("_news/2026-02-02-bridge.md", 9, 3, "body"),
        remedy="write width 576 and height 1024",
        digest=HELD_BARELY,
        changes=(Correction(BEACH, size=Size(576, 1024)),),
    ),
    finding(
        "bad-url",
        Severity.ERROR,
        SECRET,
        "the URL carries credentials, which are never sent; take them out",
        Place("_posts/100%, sure: yes.md", 3, 10, "images"),
    ),
    finding(
        "bad-scheme",
        Severity.ERROR,
        f"javascript:alert(3)//{HARM}",
        f"{MARKUP} {HARM}",
        Place(f"_news/{HARM}.md", 1, 1, "images"),
        remedy=MARKUP,
    ),
    finding(
        "not-an-image",
        Severity.ERROR,
        f"https://evil.example/{CONTROLS}.jpg",
        f"a page {CONTROLS}",
        Place(f"_news/{CONTROLS}.md", 2, 2, "body"),
        first_seen=f"2026{CONTROLS}",
    ),
    finding(
        "missing-file",
        Severity.ERROR,
        "/assets/Photo.JPG",
        "the site has assets/photo.jpg: case counts",
        Place("index.html", 40, 17, "body"),
    ),
    finding("no-network", Severity.ERROR, None, "none of 7 hosts answered"),
    finding(
        "timeout",
        Severity.ERROR,
        OLD,
        "no answer within 15 s",
        *places(2),
        state=UrlState.FLAKY,
        first_seen="2025-11-02T10:00:00Z",
        is_old=True,
    ),
    finding(
        "redirected",
        Severity.WARNING,
        GULLS,
        "moved for good",
        BEACH,
        remedy="write https://img.river-post.example/ufer.jpg",
    ),
    finding("not-secure", Severity.WARNING, OLD, "linked by http", *places(2), is_old=True),
    finding(
        "scaled",
        Severity.NOTE,
        "https://img.river-post.example/b.jpg",
        "declared 1280×720, the image is 640×360",
        Place("a.md", 5, 10, "images"),
    ),
)

MORE = {"https://img.river-post.example/ok.jpg", "/logo.png"}  # nothing is wrong with them
AUDIT = AuditReport(
    summary=Summary(
        references=1_240,
        images=1_204,
        ok=1_197,
        findings=len(FINDINGS),
        by_rule={rule: sum(found.rule == rule for found in FINDINGS) for rule in sorted({f.rule for f in FINDINGS})},
        articles=372,
        old=2,
    ),
    findings=FINDINGS,
    exposure=Exposure(
        hosts=4,
        cookies=3,
        trackers=1,
        now=34_200_000,
        cached=5_100_000,
        articles=(
            ArticleLine(
                "_news/2026-01-01-day.md", ("cdn.skywatch.example", "img.river-post.example"), 2_400_000, 310_000
            ),
            ArticleLine(f"_news/{HARM}.md", (f"evil.example{HARM}",), 900, None),
        ),
    ),
    hosts=(
        HostLine("cdn.skywatch.example", 40, 39, 0.2, 12_000_000, articles=40, cookies=("_id", HARM)),
        HostLine("img.river-post.example", 1_100, 1_100, 0.1, 22_000_000, articles=310),
        HostLine("old-host.example", 2, 0, None, 0, articles=2, cookies=("sid",), trackers=1),
    ),
    history=(
        DayLine("2026-01-01", 1_100, 2),
        DayLine("2026-01-08", 1_150, 3),
        DayLine("2026-01-09", 1_150, 9),
        DayLine("2026-02-01", 1_204, 7),
    ),
    images=tuple(sorted({found.url for found in FINDINGS if found.url} | MORE)),
)

WELL = AuditReport(
    Summary(3, 2, 2, 0, {}, articles=1), (), images=("/logo.png", "https://img.river-post.example/ok.jpg")
)


def context(root: Path, **fields: object) -> ReportContext:
    """A context of this folder, with a cache that holds a thumbnail and a placeholder."""
    folder = root / "cache/assets" / HELD[:2] / HELD
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "thumb.png").write_bytes(THUMBNAIL)
    (folder / "original.jpg").write_bytes(b"never shown")
    tiny = "data:image/gif;base64,R0lGODlhAQABAIAAAAUEBAAAACwAAAAAAQABAAACAkQBADs="
    images = {GULLS: {"digest": HELD_BARELY, "placeholder": tiny}, DOME: {"digest": HELD, "placeholder": tiny}}
    (root / "cache/manifest.json").write_text(json.dumps({"version": 1, "images": images}))
    return ReportContext(root=root, cache=root / "cache", version="1.2.3", **fields)  # type: ignore[arg-type]


NOWHERE = ReportContext(root=Path("/srv/harbour-news"), cache=Path("/srv/harbour-news/cache"), version="1.2.3")


def audit_of(*findings: Finding, **fields: Any) -> AuditReport:
    """An audit of just these findings."""
    summary = Summary(len(findings), len(findings), 0, len(findings), {})
    return AuditReport(summary, findings, **fields)
