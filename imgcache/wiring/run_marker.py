"""A marker in the cache for the time of a cluster run: a worker that does not find it sees another cache."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

import msgspec

from imgcache.cache import LocalStore, connect_bucket
from imgcache.core import ImgcacheError, StoreError, disk_errors, touch

_HEADERS = {"Content-Type": "text/plain", "Cache-Control": "no-store"}
# Seconds for one request of a worker: without credentials, a provider's library tries several sources of them.
_PATIENCE = 10.0


class RunMarker(msgspec.Struct, frozen=True):
    """The marker of one run. `cache` and `bucket_url` are those of the run's `Workspace`.

    A killed run leaves its marker behind: a small file in the staging folder, which the next run empties, or an object
    that no command reads.
    """

    run: str
    cache: Path
    bucket_url: str | None

    def leave(self) -> None:
        """Write the marker. Raises ConfigError, DiskFull."""
        if self.bucket_url is None:
            with disk_errors(self._file):
                touch(self._file)
        else:
            self._put(self.bucket_url, None)

    def remove(self) -> None:
        """Remove the marker, if that is possible."""
        if self.bucket_url is None:
            with suppress(OSError):
                self._file.unlink()
            return
        with suppress(StoreError):
            connect_bucket(self.bucket_url).delete([self._key])

    def obstacle(self) -> str | None:
        """Returns, in a worker, why it cannot use this cache: it has to find the marker and be able to rewrite it."""
        if self.bucket_url is None:
            if self._file.is_file():
                return None
            return (
                "does not see this cache: it has to be a folder that all machines share under one path, or an object"
                " store"
            )
        try:
            if connect_bucket(self.bucket_url, patience=_PATIENCE).read(self._key) != self.run.encode():
                return (
                    f"does not see this cache: {self.bucket_url} is another store there: credentials and endpoint"
                    " (AWS_ENDPOINT_URL) have to be in its environment as they are here"
                )
            self._put(self.bucket_url, _PATIENCE)
        except ImgcacheError as error:
            return f"cannot use this cache: {error}"
        return None

    @property
    def _file(self) -> Path:
        return LocalStore(self.cache).scratch / f"sign-{self.run}"

    @property
    def _key(self) -> str:
        return f"index/sign-{self.run}"

    def _put(self, bucket_url: str, patience: float | None) -> None:
        with disk_errors(Path(tempfile.gettempdir())), tempfile.NamedTemporaryFile(prefix="imgcache-") as file:
            file.write(self.run.encode())
            file.flush()
            connect_bucket(bucket_url, patience=patience).put(self._key, Path(file.name), _HEADERS)
