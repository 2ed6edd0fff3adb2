"""A bucket on the S3 that `object_store.py` starts, and a command line that uses it."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from imgcache.cache import ObjectStore, connect_bucket
from imgcache.cache.store.bucket import Bucket
from tests.conftest import Command, Ended
from tests.support.object_store import S3


class Far(msgspec.Struct):
    """A bucket, and a command line that uses it."""

    s3: S3
    name: str
    run: Command

    @property
    def url(self) -> str:
        """The URL that a user passes to `--cache`."""
        return f"s3://{self.name}/the/prefix"

    def __call__(self, command: str, *words: str | Path) -> Ended:
        """Runs one command on the bucket."""
        return self.run(command, *words, "--cache", self.url)

    def files(self) -> dict[str, bytes]:
        """Returns the public files of the bucket, by path in the cache."""
        return {path: self.read(path) for path in self.paths() if not path.startswith("index/")}

    def paths(self) -> list[str]:
        """Returns the paths of all objects, as in a cache."""
        return [key.removeprefix("the/prefix/") for key in self.s3.keys(self.name)]

    def read(self, path: str) -> bytes:
        """Returns the bytes of one object, read without imgcache."""
        return self.s3.ask("GET", f"/{self.name}/the/prefix/{path}")[1]

    def write(self, path: str, data: bytes | None) -> None:
        """Writes an object without imgcache; None deletes it."""
        self.s3.ask("PUT" if data is not None else "DELETE", f"/{self.name}/the/prefix/{path}", data)

    def asked(self) -> int:
        """Returns the number of requests to this bucket so far."""
        return sum(f"/{self.name}" in line for line in self.s3.requests())

    def store(self, folder: Path, *, multipart_above: int = 16_000_000, page: int = 1000) -> ObjectStore:
        """Opens the bucket as one more machine would, with these limits of `Bucket`."""
        client = connect_bucket(self.url).client
        return ObjectStore(Bucket(client, self.url, multipart_above=multipart_above, page=page), folder)


def led_to_bucket(s3: S3, run: Command, monkeypatch: pytest.MonkeyPatch) -> Far:
    """Creates a bucket and sets the environment for it."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    name = f"b{uuid4().hex}"
    s3.make_bucket(name)
    return Far(s3, name, run)
