"""An S3 that answers on a real socket: moto's server in a process of its own, and the environment that leads to it."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

SECRET = "a-secret-that-no-message-may-hold"


_COLORS = re.compile("\x1b\\[[0-9;]*m")


class S3(msgspec.Struct, frozen=True):
    """The server's address, and the file that has a line for each request."""

    endpoint: str
    log: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a user would set."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "imgcache",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }

    def make_bucket(self, name: str) -> str:
        """A bucket, empty. Returns its URL."""
        self.ask("PUT", f"/{name}")
        return f"s3://{name}"

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[dict[str, str], bytes]:
        """One request, as any program would send it: the answer's fields, in lower case, and its body."""
        fields = {"Authorization": "AWS imgcache:unchecked", "Content-Type": "application/octet-stream"}
        request = urllib.request.Request(self.endpoint + path, data=body, method=method, headers=fields)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return {name.lower(): value for name, value in answer.headers.items()}, answer.read()

    def requests(self) -> list[str]:
        """Method and target of every request so far, ours among them."""
        return re.findall(r"\b([A-Z]+ /[^ ]*) HTTP/1", _COLORS.sub("", self.log.read_text()))

    def keys(self, bucket: str) -> list[str]:
        """What a bucket has."""
        return re.findall(r"<Key>([^<]*)</Key>", self.ask("GET", f"/{bucket}?list-type=2")[1].decode())


@contextmanager
def s3_server(log: Path) -> Iterator[S3]:
    """Starts the server at a free port and ends it. `log` takes a line for each request."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"], stdout=out, stderr=subprocess.STDOUT
        )
        try:
            yield S3(_address(process, log), log)
        finally:
            process.terminate()
            process.wait(10)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text()):
            return found[0]
        time.sleep(0.02)
    raise RuntimeError(f"moto's server did not start: {log.read_text()}")
