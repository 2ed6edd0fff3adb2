"""Reads and writes objects under one prefix of S3, Google Cloud Storage, Azure or a folder, through obstore.

obstore does retries, signatures, pages and multipart uploads. Its errors become `StoreError`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcache.cache.store.bucket_errors import BAD_LISTING, BAD_RANGE, ENDLESS_LISTING, REPAIR, reason
from imgcache.cache.store.values import FileInfo
from imgcache.core import StoreError, disk_errors, new_file
from imgcache.core import display_path as shown_path

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import ObjectStore as Client

_PIECE = 1 << 20  # bytes
_MAX_DOCUMENT = 2 << 30  # bytes read into memory: manifest.json of a million images has less than half of it


MAX_LISTED = 200_000  # objects below one prefix, a 256th of the cache: of seven million images in all


class _TooLong(StoreError):
    """An object is longer than the caller allows."""


class Bucket:
    """One place in an object store. Keys are relative to it. Methods may be called from many threads.

    Attributes:
        where: names the place in messages.
    """

    def __init__(self, client: Client, where: str, *, multipart_above: int = 16_000_000, page: int = 1000) -> None:
        """Wraps a store of obstore.

        Args:
            client: the store.
            where: names it in messages.
            multipart_above: bytes; larger files are uploaded in parts, each retried alone, smaller ones in one request,
                which may carry a condition.
            page: objects in one listing response, at most.
        """
        self.client = client
        self.where = where
        self._multipart_above = multipart_above
        self._page = page
        self._is_folder = type(client).__name__ == "LocalStore"  # no header fields, no If-Match
        self._signs = not self._is_folder and type(client).__name__ != "MemoryStore"

    def create(self, key: str, file: Path, headers: Mapping[str, str]) -> bool:
        """Uploads a file under an unused key (If-None-Match: *). Returns False if the key is in use.

        A file of more than 16 MB is uploaded in parts, which support no condition: the key is looked up just before.
        """
        from obstore.exceptions import AlreadyExistsError

        if file.stat().st_size > self._multipart_above:
            if self.metadata(key) is not None:
                return False
            self.put(key, file, headers)
            return True
        try:
            with self._translated_errors(key, "written"):
                self._put(key, file, headers, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return False
        return True

    def put(self, key: str, file: Path, headers: Mapping[str, str]) -> str:
        """Uploads a file, replacing any object there, and returns its ETag. A large file is uploaded in parts."""
        with self._translated_errors(key, "written"):
            return self._put(key, file, headers, use_multipart=file.stat().st_size > self._multipart_above)

    def replace_if_unchanged(self, key: str, file: Path, headers: Mapping[str, str], etag: str) -> str | None:
        """Replaces the object with this ETag ("": creates it) by a file, and returns the new ETag.

        Returns None if the object has another ETag by now. A folder supports no such condition, nor does an upload in
        parts (more than 16 MB): there the ETag is compared just before.
        """
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        if self._is_folder or file.stat().st_size > self._multipart_above:
            found = self.metadata(key)
            if (found.etag if found else "") != etag:
                return None
            return self.put(key, file, headers)
        try:
            with self._translated_errors(key, "written"):
                return self._put(key, file, headers, mode={"e_tag": etag} if etag else "create", use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            return None

    def metadata(self, key: str) -> FileInfo | None:
        """Returns the metadata of an object; None if it does not exist."""
        import obstore

        with suppress(FileNotFoundError), self._translated_errors(key, "read"):
            meta = obstore.head(self.client, key)
            return FileInfo(meta["size"], meta["e_tag"] or "", meta["last_modified"].timestamp())
        return None

    def read(self, key: str, start: int = 0, end: int | None = None, limit: int = _MAX_DOCUMENT) -> bytes | None:
        """Returns the bytes from `start` up to `end`; None if the object does not exist.

        Raises:
            StoreError: it cannot be read, or a whole object has more than `limit` bytes.
        """
        import obstore

        if end is None and not start:
            pieces = self.chunks(key, limit)
            return None if pieces is None else b"".join(pieces)
        with suppress(FileNotFoundError), self._translated_errors(key, "read"):
            options: Any = {"range": {"offset": start} if end is None else (start, end)}
            found = bytes(obstore.get(self.client, key, options=options).bytes())
            if end is not None and len(found) > end - start:
                raise ValueError(BAD_RANGE)
            return found
        return None

    def chunks(self, key: str, limit: int | None = None) -> Iterator[bytes] | None:
        """Returns all bytes in pieces; None if the object does not exist.

        The pieces raise `StoreError` if the object cannot be read to its end, or has more than `limit` bytes.
        """
        import obstore

        with suppress(FileNotFoundError), self._translated_errors(key, "read"):
            return self._pieces(key, obstore.get(self.client, key), limit)
        return None

    def digest(self, key: str, limit: int | None = None) -> str | None:
        """Returns the SHA-256, in hex, of an object; None if it does not exist. Reads all its bytes.

        Returns "", which no object has, for one of more than `limit` bytes: a caller who knows the length needs no more
        to see that it is another object.
        """
        try:
            pieces = self.chunks(key, limit)
            if pieces is None:
                return None
            found = hashlib.sha256()
            for piece in pieces:
                found.update(piece)
        except _TooLong:
            return ""
        return found.hexdigest()

    def download(self, key: str, target: Path, limit: int) -> None:
        """Downloads an object of at most `limit` bytes into a local file.

        Raises:
            StoreError: the object does not exist, is longer, or cannot be read to its end.
            DiskFull: the file cannot be written.
        """
        pieces = self.chunks(key, limit)
        if pieces is None:
            raise StoreError(f"{self.where}/{key} does not exist: {REPAIR}")
        with disk_errors(target), new_file(target) as file:
            for piece in pieces:
                file.write(piece)

    def listing(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yields key and bytes of each object below `prefix`, page by page.

        Raises:
            StoreError: the store cannot be listed, repeats a page, does not come to an end, or lists what was not asked
                for.
        """
        import obstore

        pages = iter(obstore.list(self.client, prefix, chunk_size=self._page))
        last: object = None
        listed = 0
        while True:
            with self._translated_errors(prefix, "listed"):
                page = next(pages, None)
                if page is None:
                    return
                paths = [meta["path"] for meta in page]
                if paths == last or not all(path.startswith(f"{prefix}/") for path in paths):
                    raise ValueError(BAD_LISTING)
                listed += len(paths)
                if listed > MAX_LISTED:
                    raise ValueError(ENDLESS_LISTING)
                last = paths or None
            yield from ((meta["path"], meta["size"]) for meta in page)

    def folders(self, prefix: str) -> list[str]:
        """Returns the folders directly below `prefix`, as whole keys."""
        import obstore

        with self._translated_errors(prefix, "listed"):
            return sorted(obstore.list_with_delimiter(self.client, prefix)["common_prefixes"])

    def delete(self, keys: Iterable[str]) -> None:
        """Deletes objects. One that does not exist is no error."""
        import obstore

        doomed = list(keys)
        if doomed:
            try:
                with self._translated_errors(doomed[0], "removed"):
                    obstore.delete(self.client, doomed)
            except FileNotFoundError:  # some providers stop at a missing object: delete the others one by one
                for key in doomed:
                    with suppress(FileNotFoundError), self._translated_errors(key, "removed"):
                        obstore.delete(self.client, key)

    def signed_url(self, key: str, seconds: float) -> str | None:
        """Returns a URL that anybody may GET for so many seconds; None if the store has none."""
        import obstore

        if not self._signs:
            return None
        with self._translated_errors(key, "signed"):
            client: Any = self.client
            url: str = obstore.sign(client, "GET", key, timedelta(seconds=seconds))
        return url

    def _put(self, key: str, file: Path, headers: Mapping[str, str], **how: Any) -> str:
        import obstore

        attributes = None if self._is_folder else dict(headers)
        return obstore.put(self.client, key, file, attributes=attributes, **how)["e_tag"] or ""

    def _pieces(self, key: str, result: GetResult, limit: int | None) -> Iterator[bytes]:
        if limit is not None and result.meta["size"] > limit:
            raise _TooLong(f"{self.where}/{shown_path(Path(key))} has more than {limit} bytes: {REPAIR}")
        stream = iter(result.stream(min_chunk_size=_PIECE))
        while True:
            with self._translated_errors(key, "read"):
                piece = next(stream, None)
            if piece is None:
                return
            yield bytes(piece)

    @contextmanager
    def _translated_errors(self, key: str, action: str) -> Iterator[None]:
        """Turns errors of obstore into `StoreError`. "Not found" and "condition failed" pass: callers handle them.

        "Not found" passes only while reading or removing: for a write it means that the bucket does not exist.
        """
        from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

        try:
            yield
        except (AlreadyExistsError, PreconditionError):
            raise
        except (BaseError, OSError, ValueError, NotImplementedError) as error:
            if isinstance(error, FileNotFoundError) and action in {"read", "removed"}:
                raise
            raise StoreError(f"{self.where}/{shown_path(Path(key))} cannot be {action}: {reason(error)}") from None
