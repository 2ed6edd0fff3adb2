"""Objects under one prefix of S3, Google Cloud Storage, Azure or a folder, through obstore; its errors in our words.

Retries, signatures, pages and parts are obstore's. Credentials and endpoint come from the environment as each provider
documents it (`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, `GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_NAME`, …).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcache.cache.store import FileInfo
from imgcache.core import ConfigError, StoreError, disk_errors, new_file
from imgcache.core import display_path as shown_path

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Client

# A URL of a place: no user, no query, no fragment, for those are where credentials hide.
_PLACE = re.compile(r"(?:s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9._~!()'+=,@-]+)*/?|file:///[^?#]*")
_RETRIES = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}
# What the providers' environment may say of the client, after AWS_, GOOGLE_ or AZURE_. Options that are handed over
# take its place as a whole, so that whoever hands over one has to hand over these.
_PREFIXES = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZURE_"}
_CLIENT = ("allow_http", "allow_invalid_certificates", "connect_timeout", "proxy_ca_certificate", "proxy_excludes",
           "proxy_url", "timeout", "user_agent")  # fmt: skip
_PAGE = 1000  # what a provider lists at most in one answer
_PIECE = 1 << 20
# Above this an upload goes in parts, each tried again alone; below, in one request, which may carry a condition.
_IN_PARTS = 16_000_000

# What is looked for in an error's text, and what is said of it. The text itself is never shown: it may hold a token.
_REASONS = (
    (r"NoSuchBucket|ContainerNotFound|specified bucket does not exist", "there is no such bucket: make it first"),
    (r"BadScheme|scheme is not allowed", "the endpoint is http: set AWS_ALLOW_HTTP=true if that is meant"),
    (r"No space left|Disk quota", "the disk is full: make room"),
    (r"Permission|Unauthenticated|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|\b40[13] [A-Z]",
     "access denied: check the credentials in the environment, and that they may list, read, write and delete"),
    (r"169\.254\.169\.254|metadata\.google\.internal|[Mm]issing.{1,20}redentials|Account must be specified",
     "no credentials: set those of the provider in the environment"),
    (r"error sending request|kind: Connect|Timeout|timed out|dns error",
     "no answer: check the network and the endpoint (AWS_ENDPOINT_URL)"),
    (r"SlowDown|\b5\d\d [A-Z]", "the store is busy or broken: run again later"),
    (r"not yet implemented|NotImplemented|\b501 [A-Z]",
     "the store does not take conditional writes (If-None-Match), which imgcache needs"),
    (r"not found|NotFound|\b404 [A-Z]", "there is no such object or bucket"),
)  # fmt: skip


def check_bucket_url(url: str) -> str:
    """The URL of a place in an object store, without its last slash.

    Raises:
        ConfigError: it is none, or what reads it is not installed.
    """
    if not _PLACE.fullmatch(url) or "/../" in f"{url}/":
        shape = "s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///FOLDER"
        raise ConfigError(f"that is no {shape}; credentials belong in the environment", where="--cache")
    if find_spec("obstore") is None:
        raise ConfigError("an object store needs `pip install 'imgcache[scale]'`", where="--cache")
    return url.rstrip("/")


def connect_bucket(url: str, *, patience: float | None = None) -> Bucket:
    """The bucket at a URL. Nothing is asked yet.

    Args:
        url: names it.
        patience: seconds for one request; after so long none is tried again either. None: 30, and a minute.

    Raises:
        ConfigError: the URL or the environment is not complete, or the extra is not installed.
    """
    place = check_bucket_url(url)
    from obstore.exceptions import BaseError
    from obstore.store import LocalStore, from_url

    options: dict[str, Any] = {"retry_config": _RETRIES}
    if patience is not None:
        seconds = timedelta(seconds=patience)
        options = {"retry_config": _RETRIES | {"retry_timeout": seconds}}
        options["client_options"] = {"timeout": seconds} | _client_options(place)
    try:
        if place.startswith("file:"):
            return Bucket(LocalStore.from_url(place, mkdir=True), place)
        return Bucket(from_url(place, **options), place)
    except (BaseError, ValueError, OSError) as error:
        raise ConfigError(_reason(error), where=place) from None


def _client_options(place: str) -> dict[str, str]:
    names = {name: _PREFIXES.get(place[:2], "") + name.upper() for name in _CLIENT}
    return {name: os.environ[key] for name, key in names.items() if key in os.environ}


class Bucket:
    """One place in one object store. Keys are relative to it. Methods may be called from many threads."""

    def __init__(self, client: Client, where: str) -> None:
        """`client` is obstore's, `where` names it in messages."""
        self._client = client
        self.where = where
        self._is_folder = type(client).__name__ == "LocalStore"  # it keeps no header fields and knows no If-Match
        self._signs = not self._is_folder and type(client).__name__ != "MemoryStore"

    def create(self, key: str, file: Path, headers: Mapping[str, str]) -> bool:
        """Uploads a file under a key that is free; False where it is not (If-None-Match: *).

        A file of more than 16 MB goes in parts, which take no such condition: there it is looked for just before.
        """
        from obstore.exceptions import AlreadyExistsError

        if file.stat().st_size > _IN_PARTS:
            if self.look(key) is not None:
                return False
            self.put(key, file, headers)
            return True
        try:
            with self._asking(key, "written"):
                self._put(key, file, headers, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return False
        return True

    def put(self, key: str, file: Path, headers: Mapping[str, str]) -> str:
        """Uploads a file, whatever is there, a large one in parts; gives its etag."""
        with self._asking(key, "written"):
            return self._put(key, file, headers, use_multipart=file.stat().st_size > _IN_PARTS)

    def exchange(self, key: str, file: Path, headers: Mapping[str, str], etag: str) -> str | None:
        """Uploads a file in place of the object with this etag ("": of none), and gives the new one.

        None where another object is there by now. A folder knows no such condition, and a file of more than 16 MB goes
        in parts, which take none: there the etag is compared just before.
        """
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        if self._is_folder or file.stat().st_size > _IN_PARTS:
            found = self.look(key)
            if (found.etag if found else "") != etag:
                return None
            return self.put(key, file, headers)
        try:
            with self._asking(key, "written"):
                return self._put(key, file, headers, mode={"e_tag": etag} if etag else "create", use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            return None

    def look(self, key: str) -> FileInfo | None:
        """What is there; None where nothing is."""
        import obstore

        with suppress(FileNotFoundError), self._asking(key, "read"):
            meta = obstore.head(self._client, key)
            return FileInfo(meta["size"], meta["e_tag"] or "", meta["last_modified"].timestamp())
        return None

    def read(self, key: str, start: int = 0, end: int | None = None) -> bytes | None:
        """Bytes from `start` up to `end`; None where nothing is."""
        import obstore

        with suppress(FileNotFoundError), self._asking(key, "read"):
            if end is None and not start:
                return bytes(obstore.get(self._client, key).bytes())
            options: Any = {"range": {"offset": start} if end is None else (start, end)}
            return bytes(obstore.get(self._client, key, options=options).bytes())
        return None

    def chunks(self, key: str) -> Iterator[bytes] | None:
        """All bytes, piece by piece; None where nothing is."""
        import obstore

        with suppress(FileNotFoundError), self._asking(key, "read"):
            return self._pieces(key, iter(obstore.get(self._client, key).stream(min_chunk_size=_PIECE)))
        return None

    def digest(self, key: str) -> str | None:
        """SHA-256 in hex of what is there; None where nothing is. Reads it all."""
        pieces = self.chunks(key)
        if pieces is None:
            return None
        found = hashlib.sha256()
        for piece in pieces:
            found.update(piece)
        return found.hexdigest()

    def download(self, key: str, target: Path) -> None:
        """Into a local file.

        Raises:
            StoreError: nothing is there, or it cannot be read to its end.
            DiskFull: the file cannot be written.
        """
        pieces = self.chunks(key)
        if pieces is None:
            raise StoreError(f"{self.where}/{key} is not there: `imgcache verify --repair` brings it back")
        with disk_errors(target), new_file(target) as file:
            for piece in pieces:
                file.write(piece)

    def listing(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Key and bytes of each object below `prefix`, page by page."""
        import obstore

        pages = iter(obstore.list(self._client, prefix, chunk_size=_PAGE))
        while True:
            with self._asking(prefix, "listed"):
                page = next(pages, None)
            if page is None:
                return
            yield from ((meta["path"], meta["size"]) for meta in page)

    def folders(self, prefix: str) -> list[str]:
        """The folders right below `prefix`, as whole keys."""
        import obstore

        with self._asking(prefix, "listed"):
            return sorted(obstore.list_with_delimiter(self._client, prefix)["common_prefixes"])

    def delete(self, keys: Iterable[str]) -> None:
        """Removes objects; one that is not there is no error."""
        import obstore

        asked = list(keys)
        if asked:
            try:
                with self._asking(asked[0], "removed"):
                    obstore.delete(self._client, asked)
            except FileNotFoundError:  # some providers stop there: the others one by one
                for key in asked:
                    with suppress(FileNotFoundError), self._asking(key, "removed"):
                        obstore.delete(self._client, key)

    def signed_url(self, key: str, seconds: float) -> str | None:
        """A URL that anybody may GET for so long; None where there is no such thing."""
        import obstore

        if not self._signs:
            return None
        with self._asking(key, "signed"):
            client: Any = self._client
            url: str = obstore.sign(client, "GET", key, timedelta(seconds=seconds))
        return url

    def _put(self, key: str, file: Path, headers: Mapping[str, str], **how: Any) -> str:
        import obstore

        attributes = None if self._is_folder else dict(headers)
        return obstore.put(self._client, key, file, attributes=attributes, **how)["e_tag"] or ""

    def _pieces(self, key: str, stream: Iterator[bytes]) -> Iterator[bytes]:
        while True:
            with self._asking(key, "read"):
                piece = next(stream, None)
            if piece is None:
                return
            yield bytes(piece)

    @contextmanager
    def _asking(self, key: str, what: str) -> Iterator[None]:
        """Turns obstore's errors into ours; "not found" and "the condition does not hold" pass, for they are answers.

        Not found passes only while reading: a write to a bucket that is not there is told the same way.
        """
        from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

        try:
            yield
        except (AlreadyExistsError, PreconditionError):
            raise
        except (BaseError, OSError, ValueError, NotImplementedError) as error:
            if isinstance(error, FileNotFoundError) and what in {"read", "removed"}:
                raise
            raise StoreError(f"{self.where}/{shown_path(Path(key))} cannot be {what}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """What went wrong, by what is known of an error's text."""
    text = f"{type(error).__name__} {error}"
    return next((words for pattern, words in _REASONS if re.search(pattern, text)), type(error).__name__)
