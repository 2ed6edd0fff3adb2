"""The audit's certain corrections, written into the articles (`--fix`) or told as a patch (`--diff`).

Both come from the same drafts, so that the patch makes the very bytes that the writing makes. A correction that would
change anything beside its own place is left out and reported. A flag is not touched: of an image that has got another
address the next sync says whether it is held.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from imgcache.auditor.patch import unified
from imgcache.core import (
    ArticleChanged,
    ArticleError,
    ArticleUnreadable,
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
from imgcache.scanner import extract_references

Digest = Callable[[str], str | None]  # SHA-256, in hex, of the bytes of an article that were scanned

# Where two rules name an address for one place, a permanent redirect is the host's own word for where the picture is.
_FIRST = "redirected"


class FixResult(msgspec.Struct, frozen=True):
    """How many articles, URLs and sizes were corrected, and what could not be, with place and reason."""

    articles: int = 0
    urls: int = 0
    sizes: int = 0
    problems: tuple[Problem, ...] = ()


class _Draft(NamedTuple):
    """One article with the edits that are certain, by place: `target` is its file, links followed."""

    article: str
    digest: str
    target: Path
    old: bytes
    new: bytes
    edits: dict[Place, Edit]


def apply(findings: Iterable[Finding], *, root: Path, manifest: Manifest, digest: Digest) -> FixResult:
    """Write the `changes` of the findings. The caller holds the cache's lock.

    Args:
        findings: their changes; of several for one place the first of a kind counts.
        root: the site's folder.
        manifest: the writer of its articles.
        digest: of the articles as they were scanned; one that is no longer so is left as it is.
    """
    fixed, problems = FixResult(), list[Problem]()
    for draft in _drafts(findings, root, digest, problems):
        try:
            with contain_article_errors(draft.article):
                manifest.write_article(draft.article, scanned=draft.digest, edits=list(draft.edits.values()))
        except ArticleError as error:
            problems.append(_problem(error, draft.edits))
        else:
            fixed = _counted(fixed, draft)
    return msgspec.structs.replace(fixed, problems=tuple(problems))


def patch(findings: Iterable[Finding], *, root: Path, digest: Digest) -> tuple[bytes, FixResult]:
    """The same as a patch, nothing written: for `git apply -p1` in the site's folder.

    Without `-p1`, git mistakes a folder of the site for the site's own where the two have one name.
    Arguments as `apply`. An article that is a link shows under the name of its file.
    """
    fixed, problems, pieces = FixResult(), list[Problem](), list[bytes]()
    base = root.resolve()
    for draft in _drafts(findings, root, digest, problems):
        pieces.append(unified(os.fsencode(draft.target.relative_to(base).as_posix()), draft.old, draft.new))
        fixed = _counted(fixed, draft)
    return b"".join(pieces), msgspec.structs.replace(fixed, problems=tuple(problems))


def _drafts(findings: Iterable[Finding], root: Path, digest: Digest, problems: list[Problem]) -> Iterator[_Draft]:
    """Each file that would change, once, in the order of the articles; what stays out goes to `problems`."""
    drafted: set[str] = set()
    for article, wishes in sorted(_wishes(findings).items()):
        file = os.path.realpath(root / article)
        if file in drafted:
            continue  # another link to it, which names the same images
        drafted.add(file)
        scanned = digest(article) or ""
        try:
            target, old, _ = read_if_unchanged(root / article, site=root, scanned=scanned)
        except ArticleError as error:
            problems.append(_problem(error, wishes))
            continue
        edits, refused = _certain(old, article, wishes)
        problems += refused
        new = apply_edits(old, article, list(edits.values()))
        if new != old:
            yield _Draft(article, scanned, target, old, new, edits)


def _wishes(findings: Iterable[Finding]) -> dict[str, dict[Place, Edit]]:
    """One edit for each place of each article, in the order of the file."""
    wishes: dict[str, dict[Place, Edit]] = {}
    ordered = sorted(findings, key=lambda finding: finding.rule != _FIRST)
    for was, change in ((finding.url, change) for finding in ordered for change in finding.changes):
        place = change.place
        edits = wishes.setdefault(place.article, {})
        earlier = edits.get(place) or Edit(place.line, place.column, was=was)
        url, size = earlier.url or change.url, earlier.size or change.size
        edits[place] = msgspec.structs.replace(earlier, url=url, size=size)
    return {article: dict(sorted(edits.items())) for article, edits in wishes.items()}


def _certain(data: bytes, article: str, wishes: dict[Place, Edit]) -> tuple[dict[Place, Edit], list[Problem]]:
    """The edits that can be made together, and the others with the reason."""
    kept, problems = _sifted(data, article, wishes)
    if problems and (error := _refusal(data, article, kept)):
        return {}, [*problems, _problem(error, kept)]
    return kept, problems


def _sifted(data: bytes, article: str, wishes: dict[Place, Edit]) -> tuple[dict[Place, Edit], list[Problem]]:
    """By halves, so that one bad edit among thousands costs a dozen tries."""
    error = _refusal(data, article, wishes)
    if not error:
        return wishes, []
    if len(wishes) == 1:
        return {}, [_problem(error, wishes)]
    items, middle = list(wishes.items()), len(wishes) // 2
    first, problems = _sifted(data, article, dict(items[:middle]))
    second, more = _sifted(data, article, dict(items[middle:]))
    return first | second, problems + more


def _refusal(data: bytes, article: str, wishes: dict[Place, Edit]) -> ArticleError | None:
    """Why these edits cannot be made, or would leave something else there than was wished."""
    try:
        number = {(r.line, r.column): number for number, r in enumerate(extract_references(data, article))}
        after = extract_references(apply_edits(data, article, list(wishes.values())), article)
    except ArticleError as error:
        return error
    for edit in wishes.values():
        declared = after[number[edit.line, edit.column]].declared
        if edit.size and declared != _expected(declared, edit.size):
            message = "the size is not written in this entry: change it where it is, or write width and height here"
            return ArticleUnreadable(message, line=edit.line, column=edit.column)
    return None


def _expected(declared: Declared, size: Size) -> Declared:
    """What an entry says of its size afterwards: as much as it said before, and something."""
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
    """Not fixed: these places of one article."""
    urls = {edit.was for edit in edits.values()}
    url = next(iter(urls)) if len(urls) == 1 else None
    return Problem(
        error.code,
        url and without_credentials(url),
        f"not fixed: {error.message}",
        retryable=isinstance(error, ArticleChanged),
        references=tuple(edits),
    )
