"""Writes the certain corrections of an audit into articles (`--fix`), or returns them as a patch (`--diff`).

Both use the same drafts, so the patch produces exactly the bytes that `--fix` writes. A correction that would change
anything beside its own place is left out and reported. Flags are not touched: after a new URL, the next sync decides
whether the image is cached.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from imgcache.auditor.finding_factory import count_failing
from imgcache.auditor.patch import unified
from imgcache.core import (
    ArticleChanged,
    ArticleError,
    ArticleUnreadable,
    AuditReport,
    Declared,
    Edit,
    Finding,
    Place,
    Problem,
    Size,
    contain_article_errors,
    without_credentials,
)
from imgcache.manifest import Manifest, apply_edits, read_if_unchanged
from imgcache.scanner import ReadingRules, Site, extract_references

Digest = Callable[[str], str | None]  # SHA-256, in hex, of the bytes of an article that were scanned

# If two rules name a URL for one place, the target of a permanent redirect wins: it is what the host states itself.
_PREFERRED_RULE = "redirected"


class FixResult(msgspec.Struct, frozen=True):
    """How many articles, URLs and sizes were corrected, and the corrections that failed, with place and reason."""

    articles: int = 0
    urls: int = 0
    sizes: int = 0
    problems: tuple[Problem, ...] = ()


class _Draft(NamedTuple):
    """One article with its certain edits by place; `target` is its file, symbolic links resolved."""

    article: str
    digest: str
    target: Path
    old: bytes
    new: bytes
    edits: dict[Place, Edit]


class _Article(NamedTuple):
    """An article as it was scanned, and how its references are found."""

    data: bytes
    path: str
    rules: ReadingRules


def apply(findings: Iterable[Finding], *, site: Site, manifest: Manifest, digest: Digest) -> FixResult:
    """Write the `changes` of the findings into the articles. The caller holds the lock of the cache.

    Args:
        findings: if several change one place, the first URL and the first size count.
        site: the site of the articles.
        manifest: the writer of articles.
        digest: returns the SHA-256 of an article as it was scanned; an article that has changed since is left alone.

    Returns:
        What was corrected, and a problem for each correction that was not made.
    """
    fixed, problems = FixResult(), list[Problem]()
    for draft in _drafts(findings, site, digest, problems):
        try:
            with contain_article_errors(draft.article):
                manifest.write_article(draft.article, scanned=draft.digest, edits=list(draft.edits.values()))
        except ArticleError as error:
            problems.append(_problem(error, draft.edits))
        else:
            fixed = _counted(fixed, draft)
    return msgspec.structs.replace(fixed, problems=tuple(problems))


def patch(findings: Iterable[Finding], *, site: Site, digest: Digest) -> tuple[bytes, FixResult]:
    """Return the same corrections as a patch for `git apply -p1` in the folder of the site, and write nothing.

    Without `-p1`, git confuses a subfolder with the folder of the site if both have the same name. The arguments are
    those of `apply`. An article that is a symbolic link appears under the name of its file.
    """
    fixed, problems, pieces = FixResult(), list[Problem](), list[bytes]()
    base = site.root
    for draft in _drafts(findings, site, digest, problems):
        pieces.append(unified(os.fsencode(draft.target.relative_to(base).as_posix()), draft.old, draft.new))
        fixed = _counted(fixed, draft)
    return b"".join(pieces), msgspec.structs.replace(fixed, problems=tuple(problems))


def _drafts(findings: Iterable[Finding], site: Site, digest: Digest, problems: list[Problem]) -> Iterator[_Draft]:
    """Yields each file that would change once, sorted by article; rejected corrections are added to `problems`."""
    drafted: set[str] = set()
    for article, requested in sorted(_edits_by_article(findings).items()):
        file = os.path.realpath(site.root / article)
        if file in drafted:
            continue  # another link to the same file
        drafted.add(file)
        scanned = digest(article) or ""
        try:
            target, old, _ = read_if_unchanged(site.root / article, site=site.root, scanned=scanned)
        except ArticleError as error:
            problems.append(_problem(error, requested))
            continue
        edits, rejected = _possible_edits(_Article(old, article, site.rules), requested)
        problems += rejected
        new = apply_edits(old, article, list(edits.values()), site.rules)
        if new != old:
            yield _Draft(article, scanned, target, old, new, edits)


def _edits_by_article(findings: Iterable[Finding]) -> dict[str, dict[Place, Edit]]:
    """One edit for each place of each article, in the order of the file."""
    by_article: dict[str, dict[Place, Edit]] = {}
    ordered = sorted(findings, key=lambda finding: finding.rule != _PREFERRED_RULE)
    for was, change in ((finding.url, change) for finding in ordered for change in finding.changes):
        place = change.place
        edits = by_article.setdefault(place.article, {})
        earlier = edits.get(place) or Edit(place.line, place.column, was=was)
        url, size = earlier.url or change.url, earlier.size or change.size
        edits[place] = msgspec.structs.replace(earlier, url=url, size=size)
    return {article: dict(sorted(edits.items())) for article, edits in by_article.items()}


def _possible_edits(article: _Article, edits: dict[Place, Edit]) -> tuple[dict[Place, Edit], list[Problem]]:
    """The edits that can be made together, and a problem for each of the others."""
    kept, problems = _bisect(article, edits)
    if problems and (error := _rejection(article, kept)):
        return {}, [*problems, _problem(error, kept)]
    return kept, problems


def _bisect(article: _Article, edits: dict[Place, Edit]) -> tuple[dict[Place, Edit], list[Problem]]:
    """Splits the edits by halves, so that one bad edit among thousands takes a dozen attempts to find."""
    error = _rejection(article, edits)
    if not error:
        return edits, []
    if len(edits) == 1:
        return {}, [_problem(error, edits)]
    items, middle = list(edits.items()), len(edits) // 2
    first, problems = _bisect(article, dict(items[:middle]))
    second, more = _bisect(article, dict(items[middle:]))
    return first | second, problems + more


def _rejection(article: _Article, edits: dict[Place, Edit]) -> ArticleError | None:
    """Why these edits cannot be made, or would not leave the intended values; None if they can."""
    try:
        number = {(r.line, r.column): number for number, r in enumerate(extract_references(*article))}
        data = apply_edits(article.data, article.path, list(edits.values()), article.rules)
        after = extract_references(data, article.path, article.rules)
    except ArticleError as error:
        return error
    for edit in edits.values():
        declared = after[number[edit.line, edit.column]].declared
        if edit.size and declared != _expected(declared, edit.size):
            message = "the size is not written in this entry: change it where it is, or write width and height here"
            return ArticleUnreadable(message, line=edit.line, column=edit.column)
    return None


def _expected(declared: Declared, size: Size) -> Declared:
    """The size that an entry declares after the edit: the dimensions that it has, or both if it has none."""
    if declared == Declared():
        return Declared(size.width, size.height)
    return Declared(declared.width and size.width, declared.height and size.height)


def _counted(fixed: FixResult, draft: _Draft) -> FixResult:
    return msgspec.structs.replace(
        fixed,
        articles=fixed.articles + 1,
        urls=fixed.urls + sum(edit.url is not None for edit in draft.edits.values()),
        sizes=fixed.sizes + sum(edit.size is not None for edit in draft.edits.values()),
    )


def _problem(error: ArticleError, edits: dict[Place, Edit]) -> Problem:
    """Reports that these places of one article were not fixed."""
    urls = {edit.was for edit in edits.values()}
    url = next(iter(urls)) if len(urls) == 1 else None
    return Problem(
        error.code,
        url and without_credentials(url),
        f"not fixed: {error.message}",
        retryable=isinstance(error, ArticleChanged),
        references=tuple(edits),
    )


def remaining_findings(audit: AuditReport, unfixed: Collection[Place]) -> AuditReport:
    """Returns the audit without the corrected places: those of its `changes`, except the `unfixed` ones."""
    remaining = tuple(found for one in audit.findings if (found := _without_fixed(one, unfixed)) is not None)
    summary = msgspec.structs.replace(
        audit.summary,
        ok=audit.summary.images - count_failing(remaining),
        findings=len(remaining),
        by_rule=dict(sorted(Counter(found.rule for found in remaining).items())),
        old=sum(found.is_old for found in remaining),
    )
    return msgspec.structs.replace(audit, findings=remaining, summary=summary)


def _without_fixed(found: Finding, unfixed: Collection[Place]) -> Finding | None:
    fixed = {change.place for change in found.changes if change.place not in unfixed}
    places = tuple(place for place in found.references if place not in fixed)
    if not fixed or not places:
        return None if fixed else found
    first = places[0]
    return msgspec.structs.replace(
        found,
        references=places,
        article=first.article,
        line=first.line,
        column=first.column,
        field=first.field,
        articles=len({place.article for place in places}),
        changes=tuple(change for change in found.changes if change.place not in fixed),
    )
