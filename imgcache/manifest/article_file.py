"""One article edited and rewritten as a whole, or left as it is. Its errors leave the path to whoever reports them."""

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
from imgcache.scanner import frontmatter, markup

_BOM = "\ufeff"


class ArticleFile(NamedTuple):
    """An article on the disk: its file, to which a link may have led, its bytes, and what the system says of it."""

    target: Path
    data: bytes
    stat: os.stat_result


def apply_edits(data: bytes, article: str, edits: Sequence[Edit]) -> bytes:
    """The bytes of an article after edits of its front matter and its body, those of one changing none of the other.

    Args:
        data: the whole file.
        article: its path relative to the site; its suffix says whether the body is HTML.
        edits: each names its image by the line and column of the URL.

    Raises:
        ArticleChanged: an edit names a place where its image is not.
        ArticleUnreadable: the file cannot be read, or an edit cannot be made without changing something else.
        ArticleInternal: a bug in doing so.
    """
    with contain_article_errors(article):
        return _edited(data, article, edits)


def _edited(data: bytes, article: str, edits: Sequence[Edit]) -> bytes:
    front = frontmatter.parse(data, article)
    below = [edit for edit in edits if edit.line >= front.body_line]
    if below:
        head, body = data[: front.body_offset], data[front.body_offset :].decode()
        bom = _BOM if body.startswith(_BOM) else ""
        html = article.endswith((".html", ".htm"))
        body = markup.apply(body.removeprefix(bom), article, below, first_line=front.body_line, html=html)
        data = head + (bom + body).encode()
    return frontmatter.apply(data, [edit for edit in edits if edit.line < front.body_line])


def read_if_unchanged(path: Path, *, site: Path, scanned: str) -> ArticleFile:
    """An article, if it is the one that was scanned.

    Args:
        path: of the article.
        site: the article, and what it links to, has to lie in it.
        scanned: SHA-256 of its bytes, in hex.

    Raises:
        ArticleChanged: it is not the file that was scanned, or no file at all any more.
        ArticleUnreadable: it cannot be read.
        ArticleUnwritable: it lies outside of the site.
    """
    target = _target(path, site)
    data, read = _read(target)
    if hashlib.sha256(data).hexdigest() != scanned:
        raise _changed()
    return ArticleFile(target, data, read)


def link_target(path: Path, *, site: Path) -> str | None:
    """The file that an article which is a link leads to, relative to the site.

    None for one that is no link, or leads to nothing in the site.
    """
    if not path.is_symlink():
        return None
    try:
        target, root = path.resolve(strict=True), site.resolve()
    except (OSError, RuntimeError):  # to nowhere; in a circle
        return None
    return target.relative_to(root).as_posix() if target.is_relative_to(root) else None


def replace_article(path: Path, *, site: Path, scratch: Path, scanned: str, change: Callable[[bytes], bytes]) -> bool:
    """Replaces an article's bytes by rename, if they are still those that were scanned.

    Mode, owner, ACLs and other extended attributes stay. A symbolic link stays a link: its target is rewritten. Limits:
    a hard link becomes a file of its own, and what is saved in the microseconds between the last look and the rename
    is lost.

    Args:
        path: of the article.
        site: the article, and what it links to, has to lie in it.
        scratch: a folder for the new bytes while they are incomplete: outside of what a site generator watches. Where
            it is on another file system, a hidden file beside the article serves.
        scanned: SHA-256 of the bytes that `change` was decided on, in hex.
        change: old bytes to new.

    Returns:
        False if `change` changed nothing; then nothing is written.

    Raises:
        ArticleChanged: it is not the file that was scanned, or no file at all any more.
        ArticleUnreadable: it cannot be read.
        ArticleUnwritable: it is read-only, another user's, outside of the site, or the disk is full.
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
        raise ArticleUnwritable("it leads to a file outside of the site, which is left as it is")
    return target


def _read(target: Path) -> tuple[bytes, os.stat_result]:
    try:
        # Not blocking, for a pipe in place of the article would hold the run up.
        with os.fdopen(os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise ArticleUnreadable("it is no plain file")
            return file.read(), found
    except OSError as error:
        raise ArticleUnreadable(f"it cannot be read: {error.strerror}") from error


def _refuse_read_only(target: Path, read: os.stat_result) -> None:
    """A rename would replace a file that its owner made read-only, and give another user's file to us."""
    if _identity(target) != _key(read):
        raise _changed()
    if not stat.S_IMODE(read.st_mode) & 0o222 or not os.access(target, os.W_OK):
        raise ArticleUnwritable("it is read-only: make it writable, or exclude it")
    if os.geteuid() not in {0, read.st_uid}:
        raise ArticleUnwritable(f"it belongs to user {read.st_uid}: run imgcache as that user")


def _replace(target: Path, read: os.stat_result, new: bytes, place: Path) -> bool:
    """Writes at `place`, then renames. False if the two are not on one file system.

    The new bytes are on the disk before the rename; the rename itself need not be: after a power cut the old article is
    there, whole, and the next run writes it again.
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
            shutil.copystat(target, place)  # mode and extended attributes; after chown, which takes bits of the mode
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
