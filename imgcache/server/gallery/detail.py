"""Prepares the values of the template of one image. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from imgcache.core import (
    BROWSER_MEDIA_TYPES,
    MODERN_FORMATS,
    ImageError,
    Severity,
    Size,
    clean_text,
    format_bytes,
    help_url,
    problem_name,
    redact,
    request_url,
)
from imgcache.manifest import ManifestEntry, ManifestVariant
from imgcache.policy import format_day
from imgcache.server.gallery import problems
from imgcache.server.gallery.database import ImageDetails, UseRow
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


class Comparison(NamedTuple):
    """The original and the version that a page would load, of the same shape, for a slider."""

    original: Picture
    version: Picture
    label: str


class Snippet(NamedTuple):
    """A text to copy."""

    name: str
    text: str


class TopIssue(NamedTuple):
    """A problem at the top of the page. `help` is the address that explains it, "" where it is not known."""

    name: str
    code: str
    severity: str
    message: str
    help: str


class UseView(NamedTuple):
    """One use of an image. `editor` opens its place, "" where the folder of the site is not known."""

    title: str
    editor: str
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
    issues: list[TopIssue]
    comparison: Comparison | None
    snippets: list[Snippet]
    previous: str
    next: str
    uses: list[UseView] | None
    more_uses: int
    back: str
    host: str
    host_link: str


class Around(NamedTuple):
    """What the page of an image needs beside the image.

    Attributes:
        previous: the URL of the image before it in the search, "" if there is none.
        next: that of the image after it.
        root: the folder of the site; None if there is none.
        documentation: the address of the documentation, "" where it is not known.
    """

    previous: str = ""
    next: str = ""
    root: Path | None = None
    documentation: str = ""


def detail(known: ImageDetails, search: Search, now: float, around: Around) -> Detail:
    """Returns the values of the template. `now`: seconds since the epoch."""
    entry = known.entry
    picture = _picture(_large(entry), entry.color) if entry else None
    candidate = _picture(_large(known.candidate), known.candidate.color) if known.candidate else None
    uses = _uses(known, around.root)
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
        issues=[_top(issue, known, around.documentation) for issue in _all_issues(known, uses, now)],
        comparison=_comparison(entry) if entry else None,
        snippets=_snippets(known),
        previous=search.image(around.previous) if around.previous else "",
        next=search.image(around.next) if around.next else "",
        uses=uses,
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


def _all_issues(known: ImageDetails, uses: list[UseView] | None, now: float) -> list[ImageIssue]:
    """Returns the problems of the image, and the first of each kind that its articles have with it; errors first."""
    found = {issue.code: issue for use in reversed(uses or ()) for issue in reversed(use.issues)}
    every = [*_image_issues(known, now), *found.values()]
    return sorted(every, key=lambda one: one.severity is not Severity.ERROR)


def _top(issue: ImageIssue, known: ImageDetails, documentation: str) -> TopIssue:
    status = known.failure.status if known.failure and issue.code == known.failure.code else None
    name = problem_name(issue.code, status)
    return TopIssue(name, issue.code, issue.severity.value, issue.message, help_url(documentation, issue.code))


def _comparison(entry: ManifestEntry) -> Comparison | None:
    """Returns what a slider compares; None where browsers do not show the original, or no version has its shape."""
    version = for_page(entry)
    if entry.media_type not in BROWSER_MEDIA_TYPES or version is None or version.path == entry.original:
        return None
    if abs(version.width * entry.height - version.height * entry.width) > max(entry.width, entry.height):
        return None
    colour = colour_of(entry.color)
    return Comparison(
        original=Picture(asset_link(entry.original), entry.width, entry.height, colour),
        version=Picture(asset_link(version.path), version.width, version.height, colour),
        label=f"{clean_text(version.name, 40)}, {clean_text(version.format, 20)}, {format_bytes(version.bytes)}",
    )


def _snippets(known: ImageDetails) -> list[Snippet]:
    url = redact(known.url, 2000)
    found = [Snippet("address", url), Snippet("Markdown", f"![]({url})")]
    if known.entry and (markup := _markup(known.entry)):
        found.append(Snippet("<picture>", markup))
    return found


def _markup(entry: ManifestEntry) -> str:
    """Returns a `<picture>` of the files, at the paths of this endpoint; "" where browsers show none."""
    shown = sorted(candidates(entry), key=lambda file: file.width)
    formats = {file.format for file in shown}
    sources = []
    for name in (one for one in MODERN_FORMATS if one in formats):
        files = ", ".join(f"{asset_link(file.path)} {file.width}w" for file in shown if file.format == name)
        sources.append(f'  <source type="image/{name}" srcset="{files}">')
    others = [file for file in shown if file.format not in MODERN_FORMATS] or shown
    if not others:
        return ""
    image = f'  <img src="{asset_link(others[-1].path)}" width="{entry.width}" height="{entry.height}" alt="">'
    return "\n".join(("<picture>", *sources, image, "</picture>"))


def _uses(known: ImageDetails, root: Path | None) -> list[UseView] | None:
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
                title=clean_text(use.title, 200),
                editor=_editor(root, use) if root else "",
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


def _editor(root: Path, use: UseRow) -> str:
    """Returns the address that opens a place in Visual Studio Code ("Opening VS Code with URLs")."""
    return f"vscode://file{quote((root / use.article).as_posix())}:{use.line}:{use.column}"
