"""Finds what a rewrite breaks or leaves: checksums in pages, lists of service workers, scripts, missing addresses."""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from imgcache.cache import BUILT_FIELD
from imgcache.core import OutputFolder, Place, Problem, Severity, clean_text, plural, redact
from imgcache.publisher.rewrite.records import Integrity
from imgcache.publisher.rewrite.walk import BuiltFolder

_MAX_BYTES = 8_000_000
_LISTED = re.compile(r"""["']?\burl["']?\s*:\s*["']([^"']+)["']""")
_IN_SCRIPT = re.compile(rb"""(?:https?:)?//[^\s"'`<>\\()]+""")
_NO_ADDRESS = (
    "these places need an absolute address (social media previews, feeds, sitemaps), and the site's is not known: set"
    " `site_url` in imgcache.yml"
)


def broken_checksums(found: Iterable[tuple[str, Integrity]], changed: Collection[str]) -> Iterator[Problem]:
    """Yields the pages that name a changed file with the checksum of its old bytes (W3C, Subresource Integrity)."""
    for page, one in found:
        if one.path in changed:
            message = (
                f"names {clean_text(one.path, 200)} with the checksum of its bytes before this run, so that browsers"
                " refuse it: let the build write checksums after `imgcache rewrite`, or leave them out"
            )
            yield Problem("integrity", None, message, references=(Place(page, one.line, one.column, BUILT_FIELD),))


def stale_precaches(folder: BuiltFolder, changed: Collection[str]) -> Iterator[Problem]:
    """Yields the service workers that list changed files with the versions of their old bytes."""
    if not changed:
        return
    with OutputFolder(folder.root) as root:
        for script in folder.service_workers:
            data = root.read(script) or b""
            if b"revision" not in data or len(data) > _MAX_BYTES:
                continue
            text = data.decode("utf-8", "replace")
            start = posixpath.dirname(script)
            named = {posixpath.normpath(posixpath.join(start, path.lstrip("/"))) for path in _LISTED.findall(text)}
            if stale := named.intersection(changed):
                message = (
                    f"lists {plural(len(stale), 'file')} that this run changed with the version of the old bytes, such"
                    f" as {clean_text(min(stale), 200)}: run the step that writes this list after `imgcache rewrite`"
                )
                place = Place(script, 1, 1, BUILT_FIELD)
                yield Problem("precache", None, message, severity=Severity.WARNING, references=(place,))


def published_copies(folder: BuiltFolder, site: Path, cache: Path) -> Iterator[Problem]:
    """Yields the files of imgcache that the generator copied into the built folder: the whole cache with Jekyll.

    Args:
        folder: the built folder.
        site: the folder of the site.
        cache: its cache, in the site or elsewhere.
    """
    for file in (cache / "manifest.json", site / "imgcache.yml"):
        if not file.is_relative_to(site):
            continue
        name = file.relative_to(site).as_posix()
        copy = folder.root / name
        if copy.is_file() and not (file.is_file() and copy.samefile(file)):
            message = (
                "the generator copied files of imgcache into the site, where they are published: leave"
                f" {name.removesuffix('/manifest.json')} out, with Jekyll by `exclude:` in _config.yml"
            )
            place = Place(name, 1, 1, BUILT_FIELD)
            yield Problem("published-cache", None, message, severity=Severity.WARNING, references=(place,))


def images_in_scripts(folder: BuiltFolder, is_known: Callable[[str], bool]) -> Iterator[Problem]:
    """Yields the scripts that name images of pages: what they draw later is loaded from other hosts.

    Args:
        folder: after its files were listed.
        is_known: whether a URL is that of an image of the pages.
    """
    with OutputFolder(folder.root) as root:
        for script in folder.scripts:
            found = root.stat(script)
            data = root.read(script) if found is not None and found.st_size <= _MAX_BYTES else None
            urls = (html.unescape(match[0].decode("utf-8", "replace")) for match in _IN_SCRIPT.finditer(data or b""))
            named = sorted({url for url in urls if is_known(url)})
            if named:
                message = (
                    f"names {plural(len(named), 'image')} of these pages on other hosts, such as"
                    f" {redact(named[0], 200)}: scripts are not rewritten, so what this one draws is loaded from there"
                )
                place = Place(script, 1, 1, BUILT_FIELD)
                yield Problem("script-images", None, message, severity=Severity.WARNING, references=(place,))


def no_address(places: Iterable[Place]) -> Iterator[Problem]:
    """Yields one warning for all places that stay remote because the site's address is not known."""
    found = tuple(places)
    if found:
        yield Problem("no-site-url", None, _NO_ADDRESS, severity=Severity.WARNING, references=found)
