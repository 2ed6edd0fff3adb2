"""docs/reference/problems.md: every code that a report can have, found in the source, with its text."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from imgcache.auditor.reports.rules import RuleText, describe, described
from imgcache.core import errors

_PACKAGE = Path(errors.__file__).parents[1]
# Which argument of a call is the code.
_MAKERS = {"Problem": 0, "Damage": 0, "image_finding": 1, "uses_finding": 1, "places_finding": 1}
_OTHERS = {
    "blob-without-record": (
        "The cache has files without a record.",
        "`imgcache verify --repair` removes them, and fetches the image again if an article uses it.",
    ),
    "color-profile": (
        "The colour profile of an image cannot be read.",
        "The image is taken to be in sRGB, and its colours may be wrong. Save it again with a valid profile.",
    ),
    "copy-without-asset": (
        "The record of a URL names an image that has no record.",
        "`imgcache verify --repair` removes the record of the URL, and fetches the image again if an article uses it.",
    ),
    "damaged-blob": (
        "A file of the cache has other bytes than were recorded.",
        "`imgcache verify --repair` makes it again. Check the disk: files do not change by themselves.",
    ),
    "focus": (
        "The focal point in an article is not a pair of numbers from 0 to 1.",
        "It is ignored. Write `focus: [0.3, 0.6]`: fractions from the left and from the top.",
    ),
    "foreign-files": (
        "The cache has files that imgcache did not write.",
        "They are left alone. Move them away if nobody needs them there.",
    ),
    "integrity": (
        "A page names a changed file with the checksum of its old bytes.",
        "Browsers refuse the file. Let the build write checksums after `imgcache rewrite`, or leave them out.",
    ),
    "manifest": (
        "manifest.json differs from the records, or cannot be read.",
        "`imgcache verify --repair` and every sync write it again.",
    ),
    "missing-blob": (
        "A file of the cache is missing, or has another length.",
        "`imgcache verify --repair` makes it again, from the original or by fetching.",
    ),
    "no-room-for-flag": (
        "The state of an image changed, and a sync cannot write its flag there.",
        "Write the entry out: as a mapping of its own with `url`, without `<<` and without `isCached`.",
    ),
    "no-site-url": (
        "Some places of a built page need absolute addresses, and the address of the site is not known.",
        "They stay remote. Set [`site_url`](configuration.md#site_url).",
    ),
    "not-held": (
        "`imgcache rewrite --offline` leaves an image on its host, because the cache has no copy.",
        "Run `imgcache rewrite` without `--offline`, or `imgcache sync` first.",
    ),
    "script-images": (
        "A script of the built folder names images of its pages on other hosts.",
        "Scripts are not rewritten: what one draws when a reader follows a link is loaded from there. With VitePress,"
        " Docusaurus and Gatsby, link the images by their local addresses in the articles, or turn client-side"
        " navigation off.",
    ),
    "precache": (
        "A service worker lists changed files with the versions of their old bytes.",
        "Run the step that writes this list after `imgcache rewrite`.",
    ),
    "published-cache": (
        "The generator copied the cache, or imgcache.yml, into the built folder.",
        "All of it is published, and each build takes longer. Leave both out of the build; with Jekyll by"
        " `exclude: [cache, imgcache.yml]` in `_config.yml`.",
    ),
    "quarantined": (
        "The server sends a picture that is doubtful in place of the one that is held.",
        "The earlier copy stays. Look at both, in the gallery or with `imgcache quarantine list`, and decide with"
        " `imgcache quarantine accept URL` or `reject URL`.",
    ),
    "record-without-blob": (
        "A record names an image whose files are all missing.",
        "`imgcache verify --repair` removes the record, and fetches the image again if an article uses it.",
    ),
    "remote-image": (
        "A built page loads a remote image that could be local (`imgcache rewrite --check`).",
        "Run `imgcache rewrite` after the build.",
    ),
}
_INTRODUCTION = """\
# Problems and rules

Every problem of a sync, a rewrite or `imgcache verify`, and every finding of an audit, has a code. Codes are never
renamed; more may come. Each has a message that says what is wrong at this place; this page says what the code means, what
follows from it, and what to do.

"Retryable" is the key of that name in a report: the same request may succeed later. The cause tells where to look: `article` (the address is written wrongly), `server`, `network`, `rule` (left out on purpose) or
`local` (this machine).
"""


def page() -> str:
    """Returns the page: a heading for each code, so that each has an anchor."""
    lines = [_INTRODUCTION]
    for code in sorted(codes()):
        lines += [f"## {code}", "", *_section(code), ""]
    return "\n".join(lines).rstrip() + "\n"


def _section(code: str) -> Iterator[str]:
    text = text_of(code)
    yield f"{text.short} {text.help}"
    kind = errors.image_error(code)
    if kind is not None:
        passes = "on 408, 425, 429 and 5xx" if kind is errors.HttpStatus else "yes" if kind.retryable else "no"
        yield from ("", f"Cause: `{errors.blame_for(code).value}`. Retryable: {passes}.")


def text_of(code: str) -> RuleText:
    """Returns what a code means and what to do."""
    return describe(code) if code in set(described()) or code not in _OTHERS else RuleText(*_OTHERS[code])


def undescribed() -> set[str]:
    """Returns the codes that have no text of their own."""
    return codes() - _OTHERS.keys() - set(described())


@cache
def codes() -> frozenset[str]:
    """Returns every code: of errors, and of problems, damages and findings that are made anywhere in the source."""
    found = {kind.code for kind in (*errors.ImageError.__subclasses__(), *errors.ArticleError.__subclasses__())}
    for file in _PACKAGE.rglob("*.py"):
        found |= set(_made_in(ast.parse(file.read_text(encoding="utf-8"))))
    return frozenset(found | set(described()))


def _made_in(tree: ast.Module) -> Iterator[str]:
    """Yields the codes that calls name, as text or by a constant of the module."""
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _MAKERS:
            position = _MAKERS[node.func.id]
            arguments = [keyword.value for keyword in node.keywords if keyword.arg in {"code", "rule"}]
            for argument in node.args[position : position + 1] or arguments:
                value = constants.get(argument.id, argument) if isinstance(argument, ast.Name) else argument
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield value.value
