"""A sign in the cache while a run lasts: workers that do not find it would write somewhere else, or nowhere."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

import msgspec

from imgcache.cache import LocalStore, connect_bucket
from imgcache.core import ImgcacheError, StoreError, disk_errors, touch

_HEADERS = {"Content-Type": "text/plain", "Cache-Control": "no-store"}
_PATIENCE = 10.0  # seconds for one request of a worker: without credentials a provider's library asks around for them


class RunMarker(msgspec.Struct, frozen=True):
    """The one of a run that has this name. `cache` and `place` are as in `Ground`.

    What a killed run leaves of it is a small file among those that the next run removes, or an object that no command
    looks at.
    """

    run: str
    cache: Path
    place: str | None

    def leave(self) -> None:
        """Put it there. Raises ConfigError, DiskFull."""
        if self.place is None:
            with disk_errors(self._file):
                touch(self._file)
        else:
            self._put(self.place, None)

    def remove(self) -> None:
        """Take it away, if that can be done."""
        if self.place is None:
            with suppress(OSError):
                self._file.unlink()
            return
        with suppress(StoreError):
            connect_bucket(self.place).delete([self._key])

    def obstacle(self) -> str | None:
        """In a worker: what keeps it from this cache. It has to find the sign, and to be able to write it anew."""
        if self.place is None:
            if self._file.is_file():
                return None
            return (
                "does not see this cache: it has to be a folder that all machines share under one path, or an object"
                " store"
            )
        try:
            if connect_bucket(self.place, patience=_PATIENCE).read(self._key) != self.run.encode():
                return (
                    f"does not see this cache: {self.place} is another store there: credentials and endpoint"
                    " (AWS_ENDPOINT_URL) have to be in its environment as they are here"
                )
            self._put(self.place, _PATIENCE)
        except ImgcacheError as error:
            return f"cannot use this cache: {error}"
        return None

    @property
    def _file(self) -> Path:
        return LocalStore(self.cache).scratch / f"sign-{self.run}"

    @property
    def _key(self) -> str:
        return f"index/sign-{self.run}"

    def _put(self, place: str, patience: float | None) -> None:
        with disk_errors(Path(tempfile.gettempdir())), tempfile.NamedTemporaryFile(prefix="imgcache-") as file:
            file.write(self.run.encode())
            file.flush()
            connect_bucket(place, patience=patience).put(self._key, Path(file.name), _HEADERS)
