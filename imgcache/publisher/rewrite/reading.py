"""Reads files of a built folder and computes their new bytes; writes nothing. Runs in any process."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

from imgcache.cache import ArticleStat
from imgcache.core import Kind, OutputFolder, log, trace, unexpected_article_error
from imgcache.publisher.rewrite.files import find, kind_of, rewrite
from imgcache.publisher.rewrite.offers import Held
from imgcache.publisher.rewrite.records import (
    FolderTask,
    FoundImage,
    FoundPage,
    Integrity,
    PageJob,
    RewrittenPage,
)
from imgcache.publisher.rewrite.values import FileKind, Form, Options, Unreadable
from imgcache.scanner import Site

MAX_BYTES = 32_000_000  # of a file: its tree takes twenty times as much memory
# A file saved less than this long before it was read may be saved again in the same tick of the file system's clock.
_RACY_NS = 50_000_000
# A file of the cache by its address, in whatever folder it is published; JSON may write `\/`.
# It begins with a character that is searched for ten times as fast as a class; what stands before is looked at then.
_LOCAL = re.compile(rb"/([0-9a-f]{64})\\?/([A-Za-z0-9_][A-Za-z0-9_.-]*)")
_TAG = re.compile(rb"<(?:link|script)\b[^>]{0,4000}>", re.IGNORECASE)
_INTEGRITY = re.compile(rb"\sintegrity\s*=", re.IGNORECASE)
_ADDRESS = re.compile(rb"""\s(?:href|src)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+))""", re.IGNORECASE)
_FOLDER_JSON = re.compile(r"(?:^|/)(?:manifest\.json|[^/]*\.webmanifest)$")
_JSON_FEED = b"jsonfeed.org/version"
_TOO_LARGE = Unreadable(f"it is larger than {MAX_BYTES // 1_000_000} MB; it is left as it is")
_UNREADABLE = "it cannot be read"


class PageReader:
    """Reads the files of one built folder."""

    def __init__(self, task: FolderTask) -> None:
        self._root = Path(task.root)
        self._options = task.options
        self._site = Site(self._root, task.site_url)

    def find(self, files: Iterable[ArticleStat]) -> list[FoundPage]:
        """Returns the images of each file. An error is part of the result."""
        found = []
        with OutputFolder(self._root) as root:
            for file in files:
                try:
                    found.append(self._find(root, file))
                except Exception as error:  # noqa: BLE001 - no page ends the run
                    found.append(FoundPage(file.path, 0, file.size, "", error=_unforeseen(file.path, error)))
        return found

    def rewrite(self, jobs: Iterable[PageJob]) -> list[RewrittenPage]:
        """Returns the new bytes of each file that changes. An error is part of the result."""
        done = []
        with OutputFolder(self._root) as root:
            for job in jobs:
                try:
                    done.append(self._rewrite(root, job))
                except Exception as error:  # noqa: BLE001 - no page ends the run
                    done.append(RewrittenPage(job.path, error=_unforeseen(job.path, error)))
        return done

    def _find(self, root: OutputFolder, file: ArticleStat) -> FoundPage:
        began = time.time_ns()
        if file.size > MAX_BYTES:
            return FoundPage(file.path, file.mtime_ns, file.size, "", error=_TOO_LARGE)
        data = root.read(file.path)
        if data is None:
            return FoundPage(file.path, 0, file.size, "", error=Unreadable(_UNREADABLE))
        mtime_ns = 0 if began - file.mtime_ns < _RACY_NS else file.mtime_ns
        return self._found(data, file.path, mtime_ns)

    def _found(self, data: bytes, path: str, mtime_ns: int) -> FoundPage:
        kind = kind_of(path) or FileKind.HTML
        digest = hashlib.sha256(data).hexdigest()
        references = find(data, path, kind, self._options)
        if isinstance(references, Unreadable):
            error = references if kind is not FileKind.JSON or _names_images(data, path) else None
            return FoundPage(path, mtime_ns, len(data), digest, error=error)
        position = Positions(data)
        has_far = bool(self._options.site_url or self._options.assets_url)
        images = [
            FoundImage(
                one.url,
                "",
                *position.of(one.start),
                is_possible=has_far or not (one.form is Form.SHARED or kind is FileKind.FEED),
            )
            for one in sorted(references, key=lambda one: one.start)
            if self._site.kind(one.url) is Kind.REMOTE
        ]
        local, files = _local(data)
        integrity = tuple(_integrity(data, path, self._options)) if kind is FileKind.HTML else ()
        return FoundPage(path, mtime_ns, len(data), digest, (*images, *local), files, integrity)

    def _rewrite(self, root: OutputFolder, job: PageJob) -> RewrittenPage:
        found, data = _status_and_bytes(root, job.path)
        if found is None or data is None or hashlib.sha256(data).hexdigest() != job.digest:
            return RewrittenPage(job.path, is_stale=True)
        done = rewrite(data, job.path, kind_of(job.path) or FileKind.HTML, job.held, self._options)
        if done.error is not None or done.data == data:
            return RewrittenPage(job.path, error=done.error)
        identity = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        after = self._after(done.data, job, has_more=done.left > 0)
        return RewrittenPage(job.path, done.data, identity, after)

    def _after(self, data: bytes, job: PageJob, *, has_more: bool) -> FoundPage:
        """Returns what is in the new bytes. They are searched only if the rewrite left a remote image."""
        if has_more:
            after = self._found(data, job.path, 0)
            images, files, digest = after.images, after.files, after.digest
        else:
            images, files = _local(data)
            digest = hashlib.sha256(data).hexdigest()
        urls = _urls_by_digest(job.held)
        named = [
            FoundImage(url, one.digest, one.line, one.column, one.is_possible)
            for one in images
            for url in (urls.get(one.digest, ("",)) if one.digest else (one.url,))
        ]
        # An image that is held and still loaded from its host cannot be local there: no later run tries again.
        images = tuple(
            FoundImage(one.url, "", one.line, one.column, is_possible=False)
            if not one.digest and one.url in job.held
            else one
            for one in named
        )
        return FoundPage(job.path, 0, len(data), digest, images, files)


def _status_and_bytes(root: OutputFolder, path: str) -> tuple[os.stat_result | None, bytes | None]:
    """Return the status of a file, from before it was read, and its bytes; None for what is not there."""
    try:
        with root.parent_of(path) as (folder, name):
            found = folder.stat(name)
            is_file = found is not None and stat.S_ISREG(found.st_mode)
            return found, folder.read(name) if is_file else None
    except FileNotFoundError:
        return None, None


def _unforeseen(path: str, error: Exception) -> Unreadable:
    if isinstance(error, OSError):
        return Unreadable(f"{_UNREADABLE}: {error.strerror}")
    log(path, trace(error))
    return Unreadable(unexpected_article_error(error, "this page").message)


def same_file(found: os.stat_result, identity: tuple[int, int, int, int]) -> bool:
    """Returns whether a file is the one that was read."""
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns) == identity


def _urls_by_digest(held: Mapping[str, Held]) -> dict[str, tuple[str, ...]]:
    urls: dict[str, tuple[str, ...]] = {}
    for url, image in held.items():
        file = image.files[0] if image.files else image.original
        digest = file.path.split("/")[1] if file else ""
        urls[digest] = (*urls.get(digest, ()), url)
    return urls


def _names_images(data: bytes, path: str) -> bool:
    """Returns whether a JSON file is of a kind that can name images; others may have any form."""
    return _FOLDER_JSON.search(path) is not None or _JSON_FEED in data


def _local(data: bytes) -> tuple[tuple[FoundImage, ...], tuple[str, ...]]:
    """Returns the cached images that a file refers to, each once a line, and their files, sorted."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        data = data.replace(b"\0", b"")  # UTF-16: ASCII with a NUL beside each character
    position = Positions(data)
    images: dict[tuple[str, int], FoundImage] = {}
    files = set()
    last, end = b"", 0
    for match in _LOCAL.finditer(data):
        start = match.start()
        if not data[max(start - 3, 0) : start].removesuffix(b"\\").endswith(match[1][:2]):
            continue
        files.add((match[1], match[2]))
        if match[1] != last or data.find(b"\n", end, start) >= 0:  # else another file of the image before, in its line
            digest = match[1].decode()
            line, column = position.of(start)
            images.setdefault((digest, line), FoundImage("", digest, line, column))
        last, end = match[1], start
    names = sorted((digest.decode(), name.decode()) for digest, name in files)
    return tuple(images.values()), tuple(f"{digest[:2]}/{digest}/{name}" for digest, name in names)


def _integrity(data: bytes, path: str, options: Options) -> Iterator[Integrity]:
    position = Positions(data)
    for tag in _TAG.finditer(data):
        if not _INTEGRITY.search(tag[0]) or (address := _ADDRESS.search(tag[0])) is None:
            continue
        url = (address[1] or address[2] or address[3] or b"").decode("utf-8", "replace")
        target = path_below(url, path, options.site_url)
        if target:
            yield Integrity(target, *position.of(tag.start()))


def path_below(url: str, path: str, site_url: str) -> str:
    """Returns the path in the folder that an address of a page leads to; "" if it is another site's."""
    url = unquote(url.partition("#")[0].partition("?")[0])
    base = site_url.partition("://")[2].partition("/")[2]
    if site_url and url.startswith(f"{site_url}/"):
        return url.removeprefix(f"{site_url}/")
    if "://" in url or url.startswith("//") or not url:
        return ""
    if url.startswith("/"):
        return url.lstrip("/").removeprefix(f"{base}/" if base else "")
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), url))


class Positions:
    """Gives line and column, in characters, of positions that are asked for in rising order."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = self._start = 0
        self._line, self._column = 1, 1

    def of(self, position: int) -> tuple[int, int]:
        """Returns line and column of a byte of the file. Each byte that is not UTF-8 counts as one character."""
        feeds = self._data.count(b"\n", self._at, position)
        if feeds:
            self._line += feeds
            self._at = self._data.rfind(b"\n", 0, position) + 1
            self._column = 1
        self._column += len(self._data[self._at : position].decode("utf-8", "replace"))
        self._at = position
        return self._line, self._column
