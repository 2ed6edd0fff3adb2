"""A bucket on the S3 that `object_store.py` starts, and the command line led to it."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from imgcache.cache import ObjectStore, connect_bucket
from tests.conftest import Command, Ended
from tests.support.object_store import S3


class Far(msgspec.Struct):
    """A bucket, and the command line led to it."""

    s3: S3
    name: str
    run: Command

    @property
    def url(self) -> str:
        """What a user says."""
        return f"s3://{self.name}/the/prefix"

    def __call__(self, command: str, *words: str | Path) -> Ended:
        """One command on the bucket."""
        return self.run(command, *words, "--cache", self.url)

    def files(self) -> dict[str, bytes]:
        """What the bucket has for the world, by its path in a cache."""
        return {path: self.read(path) for path in self.paths() if not path.startswith("index/")}

    def paths(self) -> list[str]:
        """Of all that the bucket has, in a cache."""
        return [key.removeprefix("the/prefix/") for key in self.s3.keys(self.name)]

    def read(self, path: str) -> bytes:
        """One object, as anybody would get it."""
        return self.s3.ask("GET", f"/{self.name}/the/prefix/{path}")[1]

    def write(self, path: str, data: bytes | None) -> None:
        """Behind the back of imgcache; None removes."""
        self.s3.ask("PUT" if data is not None else "DELETE", f"/{self.name}/the/prefix/{path}", data)

    def asked(self) -> int:
        """Requests to this bucket so far."""
        return sum(f"/{self.name}" in line for line in self.s3.requests())

    def store(self, folder: Path) -> ObjectStore:
        """The bucket as one more machine would open it."""
        return ObjectStore(connect_bucket(self.url), folder)


def led_to_bucket(s3: S3, run: Command, monkeypatch: pytest.MonkeyPatch) -> Far:
    """A new bucket, and the environment that leads there."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    name = f"b{uuid4().hex}"
    s3.make_bucket(name)
    return Far(s3, name, run)
