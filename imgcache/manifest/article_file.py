"""Edits one article and replaces its file atomically, or leaves it as it is. Errors do not contain the path."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from imgcache.core import ArticleChanged, ArticleUnreadable, ArticleUnwritable, Edit, contain_article_errors, new_file
from imgcache.scanner import USUAL, ReadingRules, frontmatter, markup
from imgcache.scanner.data_files import is_data_file

_BOM = "\ufeff"


class ArticleFile(NamedTuple):
    """An article on disk: its file, which may be the target of a link, its bytes and its stat."""

    target: Path
    data: bytes
    stat: os.stat_result


def apply_edits(data: bytes, article: str, edits: Sequence[Edit], rules: ReadingRules = USUAL) -> bytes:
    """Return the bytes of an article after edits of its front matter and its body.

    Args:
        data: the whole file.
        article: its path relative to the site; its suffix says whether the body is HTML.
        edits: each names its image by the line and column of the URL.
        rules: how the articles of the site are read.

    Raises:
        ArticleChanged: the image of an edit is not at its place.
        ArticleUnreadable: the file cannot be read, or an edit would change something else.
        ArticleInternal: a bug in imgcache.
    """
    with contain_article_errors(article):
        return _edited(data, article, edits, rules)


def _edited(data: bytes, article: str, edits: Sequence[Edit], rules: ReadingRules) -> bytes:
    if is_data_file(article):
        return frontmatter.apply_to_file(data, article, edits, rules.fields)
    front = frontmatter.parse(data, article, rules.fields)
    below = [edit for edit in edits if edit.line >= front.body_line]
    if below:
        head, body = data[: front.body_offset], data[front.body_offset :].decode()
        bom = _BOM if body.startswith(_BOM) else ""
        line, html = front.body_line, markup.is_html(article)
        body = markup.apply(body.removeprefix(bom), article, below, first_line=line, html=html, syntax=rules.syntax)
        data = head + (bom + body).encode()
    return frontmatter.apply(data, [edit for edit in edits if edit.line < front.body_line], rules.fields)


def read_if_unchanged(path: Path, *, site: Path, scanned: str) -> ArticleFile:
    """Read an article if it has not changed since it was scanned.

    Args:
        path: the path of the article.
        site: the article, and the target of a link, must be inside this folder.
        scanned: SHA-256 of its bytes, in hex.

    Raises:
        ArticleChanged: it is not the file that was scanned, or was deleted.
        ArticleUnreadable: it cannot be read.
        ArticleUnwritable: it is outside of the site.
    """
    target = _target(path, site)
    data, read = _read(target)
    if hashlib.sha256(data).hexdigest() != scanned:
        raise _changed()
    return ArticleFile(target, data, read)


def link_target(path: Path, *, site: Path) -> str | None:
    """Return the target of an article that is a link, relative to the site.

    None if it is no link, or its target is not in the site.
    """
    if not path.is_symlink():
        return None
    try:
        target, root = path.resolve(strict=True), site.resolve()
    except (OSError, RuntimeError):  # a broken link or a loop of links
        return None
    return target.relative_to(root).as_posix() if target.is_relative_to(root) else None


def replace_article(path: Path, *, site: Path, scratch: Path, scanned: str, change: Callable[[bytes], bytes]) -> bool:
    """Replace the bytes of an article by rename, if they are still those that were scanned.

    Mode, owner, ACLs and other extended attributes stay. A symbolic link stays a link: its target is rewritten. Limits:
    a hard link becomes a separate file, and a save in the microseconds between the last check and the rename is
    lost.

    Args:
        path: the path of the article.
        site: the article, and the target of a link, must be inside this folder.
        scratch: a folder for the new bytes while they are incomplete, which no site generator watches. If it is on
            another file system, a hidden file beside the article is used.
        scanned: SHA-256, in hex, of the bytes that `change` is for.
        change: returns the new bytes for the old ones.

    Returns:
        False if `change` changed nothing; then nothing is written.

    Raises:
        ArticleChanged: it is not the file that was scanned, or was deleted.
        ArticleUnreadable: it cannot be read.
        ArticleUnwritable: it is read-only, belongs to another user, is outside of the site, or the disk is full.
    """
    target, data, read = read_if_unchanged(path, site=site, scanned=scanned)
    new = change(data)
    if new == data:
        return False
    _refuse_read_only(target, read)
    try:
        for place in (scratch / f"article-{threading.get_native_id()}", target.parent / f".{target.name}.imgcache"):
            if _replace(target, read, new, place):
                break
    except OSError as error:
        raise ArticleUnwritable(f"it cannot be written: {error.strerror}") from error
    return True


def _target(path: Path, site: Path) -> Path:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise _changed() from error
    if not target.is_relative_to(site.resolve()):
        raise ArticleUnwritable("it links to a file outside of the site, which is left as it is")
    return target


def _read(target: Path) -> tuple[bytes, os.stat_result]:
    try:
        # Non-blocking, since opening a pipe in place of the article would block the run.
        with os.fdopen(os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise ArticleUnreadable("it is not a regular file")
            return file.read(), found
    except OSError as error:
        raise ArticleUnreadable(f"it cannot be read: {error.strerror}") from error


def _refuse_read_only(target: Path, read: os.stat_result) -> None:
    """Raise an error for a read-only file, and for one of another user: a rename would ignore both."""
    if _identity(target) != _key(read):
        raise _changed()
    if not stat.S_IMODE(read.st_mode) & 0o222 or not os.access(target, os.W_OK):
        raise ArticleUnwritable("it is read-only: make it writable, or exclude it")
    if os.geteuid() not in {0, read.st_uid}:
        raise ArticleUnwritable(f"it belongs to user {read.st_uid}: run imgcache as that user")


def _replace(target: Path, read: os.stat_result, new: bytes, place: Path) -> bool:
    """Write at `place`, then rename. Returns False if the two are on different file systems.

    The new bytes are on disk before the rename. The rename itself may not be: after a power cut the old article is
    complete, and the next run writes it again.
    """
    if not place.parent.is_dir():
        return False
    try:
        with new_file(place) as file:
            file.write(new)
            file.flush()
            own = os.fstat(file.fileno())
            if (own.st_uid, own.st_gid) != (read.st_uid, read.st_gid):
                os.chown(place, read.st_uid, read.st_gid)
            shutil.copystat(target, place)  # mode and extended attributes; after chown, which clears bits of the mode
            os.utime(place)
        if _identity(target) != _key(read):
            raise _changed()
        place.replace(target)
    except OSError as error:
        if error.errno == errno.EXDEV:
            return False
        raise
    finally:
        with suppress(FileNotFoundError):
            place.unlink()
    return True


def _identity(target: Path) -> tuple[int, ...] | None:
    try:
        return _key(target.lstat())
    except FileNotFoundError:
        return None


def _key(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _changed() -> ArticleChanged:
    return ArticleChanged("it was saved while imgcache ran: it is left as it is; run again")
