"""Prepares the values of the template of one image. Pure."""

from __future__ import annotations

from typing import NamedTuple

from imgcache.core import ImageError, Severity, Size, clean_text, format_bytes, redact, request_url
from imgcache.manifest import ManifestEntry, ManifestVariant
from imgcache.policy import format_day
from imgcache.server.gallery import problems
from imgcache.server.gallery.database import ImageDetails
from imgcache.server.gallery.loader import LIGHT_WIDTH, candidates, for_page
from imgcache.server.gallery.problems import ImageIssue
from imgcache.server.gallery.search import Search
from imgcache.server.gallery.views import Picture, asset_link, colour_of, name_of, share, stylesheet

_STATE_TEXTS = {
    "held": "Held: the original and its versions are in the cache",
    "failing": "Not held: its server does not deliver it",
    "waiting": "Not held: the next sync downloads it",
    "forgotten": "Not held: imgcache forget excluded it from downloads",
}
_MAX_WIDTH = 1280  # pixels


class Version(NamedTuple):
    """One file of an image."""

    name: str
    link: str
    size: str
    format: str
    bytes: str
    share: str


class UseView(NamedTuple):
    """One use of an image."""

    place: str
    field: str
    declared: str
    flag: str
    issues: list[ImageIssue]


class Detail(NamedTuple):
    """The page of one image. `facts` are pairs of name and value."""

    name: str
    url: str
    outside: str  # the URL for a link; "" if it is no URL of the web
    state: str
    state_text: str
    picture: Picture | None
    candidate: Picture | None
    colours: str
    facts: list[tuple[str, str]]
    saved: str
    versions: list[Version]
    issues: list[ImageIssue]
    uses: list[UseView] | None
    more_uses: int
    back: str
    host: str
    host_link: str


def detail(known: ImageDetails, search: Search, now: float) -> Detail:
    """Returns the values of the template. `now`: seconds since the epoch."""
    entry = known.entry
    picture = _picture(_large(entry), entry.color) if entry else None
    candidate = _picture(_large(known.candidate), known.candidate.color) if known.candidate else None
    return Detail(
        name=name_of(known.url),
        url=redact(known.url, 2000),
        outside=_outside(known.url),
        state=known.state,
        state_text=_STATE_TEXTS[known.state],
        picture=picture,
        candidate=candidate,
        colours=stylesheet([picture, candidate]),
        facts=_facts(known),
        saved=_saved(entry) if entry else "",
        versions=_versions(entry) if entry else [],
        issues=_image_issues(known, now),
        uses=_uses(known),
        more_uses=known.use_count - len(known.uses or ()),
        back=search.back(),
        host=known.host,
        host_link=Search(host=known.host).link(),
    )


def _outside(url: str) -> str:
    try:
        return request_url(url)
    except ImageError:  # javascript: or control characters: shown as text, without a link
        return ""


def _picture(file: ManifestVariant | None, color: str) -> Picture | None:
    return None if file is None else Picture(asset_link(file.path), file.width, file.height, colour_of(color))


def _large(entry: ManifestEntry | None) -> ManifestVariant | None:
    """Returns the file to show: the widest up to `_MAX_WIDTH`."""
    if entry is None:
        return None
    files = sorted(candidates(entry), key=lambda file: (file.width, -file.bytes))
    small = [file for file in files if file.width <= _MAX_WIDTH]
    return small[-1] if small else files[0] if files else None


def _facts(known: ImageDetails) -> list[tuple[str, str]]:
    facts: list[tuple[str, str]] = []
    if entry := known.entry:
        facts.append(
            ("Original", f"{entry.width}×{entry.height}, {clean_text(entry.media_type)}, {format_bytes(entry.bytes)}")
        )
    if copy := known.copy:
        facts += [("Fetched", format_day(copy.fetched_at)), ("Checked", format_day(copy.checked_at))]
        if copy.final_url:
            facts.append(("Redirected to", redact(copy.final_url, 500)))
    if failure := known.failure:
        facts.append(("Last try", format_day(failure.last_at)))
    if known.entry:
        facts += [("Colour", clean_text(known.entry.color, 20)), ("SHA-256", clean_text(known.entry.digest, 80))]
    return facts


def _saved(entry: ManifestEntry) -> str:
    light = for_page(entry)
    if light is None or light.bytes >= entry.bytes:
        return ""
    return (
        f"A page {LIGHT_WIDTH} px wide loads {format_bytes(light.bytes)} instead of {format_bytes(entry.bytes)}:"
        f" {format_bytes(entry.bytes - light.bytes)} saved ({share(entry.bytes, light.bytes)})"
    )


def _versions(entry: ManifestEntry) -> list[Version]:
    kind = entry.media_type.removeprefix("image/")
    original = ManifestVariant("original", entry.width, entry.height, kind, entry.bytes, entry.original)
    return [
        Version(
            clean_text(one.name, 40),
            asset_link(one.path),
            f"{one.width}×{one.height}",
            clean_text(one.format, 20),
            format_bytes(one.bytes),
            f"{100 * one.bytes / entry.bytes:.0f} %" if entry.bytes else "",
        )
        for one in (original, *entry.variants)
    ]


def _image_issues(known: ImageDetails, now: float) -> list[ImageIssue]:
    """Returns the problems of the image itself; those of articles are listed with the uses."""
    found = []
    if known.failure:
        found.append(problems.failure_issue(known.failure, known.health, now, held=known.entry is not None))
    if known.quarantine and known.quarantine.candidate:
        found.append(problems.quarantine_issue(known.quarantine))
    return found


def _uses(known: ImageDetails) -> list[UseView] | None:
    if known.uses is None:
        return None
    actual = Size(known.entry.width, known.entry.height) if known.entry else None
    shown = []
    for use in known.uses:
        entry = use.entry
        flag = "isCached: true" if entry.is_cached else "no flag" if entry.flaggable else "carries no flag"
        issues = list(problems.entry_issues(entry, actual, held=known.entry is not None))
        declared = entry.declared
        shown.append(
            UseView(
                place=f"{clean_text(use.article, 300)}:{use.line}:{use.column}",
                field=clean_text(use.field, 80),
                declared=f"{declared.width or '?'}×{declared.height or '?'}"
                if declared.width or declared.height
                else "",
                flag=flag,
                issues=sorted(issues, key=lambda one: one.severity is not Severity.ERROR),
            )
        )
    return shown
