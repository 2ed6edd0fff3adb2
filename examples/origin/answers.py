"""What the origin says for a URL: an image of a size, or one of the ways in which servers misbehave."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml
from yarl import URL

from examples.origin.drawing import MEDIA_TYPES, draw, format_of

DEFAULT_SIZE = (640, 360)
_SCHEME = re.compile(r"[a-z]+://", re.IGNORECASE)


def normal(url: str) -> str:
    """Host, path and query in one spelling: `HTTP://A.Example:80/x y?q#z` becomes `a.example/x%20y?q`.

    Raises:
        ValueError: no URL that a server could be asked for.
    """
    parsed = URL(url if _SCHEME.match(url) else f"http://{url}")
    return f"{(parsed.raw_host or '').rstrip('.').lower()}{parsed.raw_path_qs}"


@dataclass(frozen=True)
class Answer:
    """One answer. Without anything said: a drawn image, 200, at once.

    The body is `body`, else the file at `file`, else an image of `size` (width, height in pixels) drawn in `format`
    (None: what the URL's extension says). Only status 200 has an image; others say their number in a line of text.

    `delay` is the seconds before the first byte, `drip` the seconds that the body takes, sent in ten pieces. `keep`
    sends that share of the body (0 to 1) under the full Content-Length and closes the connection. `hang_up` closes it
    without a word; `down` on any URL of a host has `Origin.connect_to` lead that host to a port that refuses. The first
    `fails` requests get 503. `etag` False leaves out the validators.
    """

    size: tuple[int, int] = DEFAULT_SIZE
    format: str | None = None
    status: int = 200
    body: bytes | None = None
    file: Path | None = None
    media_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    location: str | None = None
    delay: float = 0.0
    drip: float = 0.0
    keep: float = 1.0
    hang_up: bool = False
    down: bool = False
    fails: int = 0
    etag: bool = True


@dataclass(frozen=True)
class Content:
    """The bytes of an answer and what they are."""

    body: bytes
    media_type: str
    etag: str


def content_of(answer: Answer, key: str) -> Content:
    """Draw or read what `answer` gives for the URL whose `normal` form is `key`."""
    path = key.split("?", 1)[0]
    image_format = answer.format or format_of(path)
    media_type = answer.media_type or MEDIA_TYPES[image_format]
    if answer.body is not None:
        body = answer.body
    elif answer.file is not None:
        body = answer.file.read_bytes()
    elif answer.status != 200:
        body, media_type = f"{answer.status}\n".encode(), "text/plain"
    else:
        body = draw(answer.size, image_format, key, key.split("/", 1)[0])
    return Content(body, media_type, hashlib.sha256(body).hexdigest()[:16])


class Answers(Mapping[str, Answer]):
    """Answers by URL, however it is spelt. A key that ends in `*` answers for every URL that starts with the rest."""

    def __init__(self, answers: Mapping[str, Answer] | None = None) -> None:
        self._exact: dict[str, Answer] = {}
        self._prefixes: list[tuple[str, Answer]] = []
        for url, answer in (answers or {}).items():
            self.set(url, answer)

    def set(self, url: str, answer: Answer) -> None:
        """Answer `url` with `answer` from now on, also while the origin runs."""
        if url.endswith("*"):
            self._prefixes.insert(0, (normal(url[:-1]), answer))
        else:
            self._exact[normal(url)] = answer

    @property
    def hosts_down(self) -> list[str]:
        """The hosts that refuse every connection, sorted."""
        everything = [*self._exact.items(), *self._prefixes]
        return sorted({key.split("/", 1)[0] for key, answer in everything if answer.down})

    def __getitem__(self, url: str) -> Answer:
        key = normal(url)
        for prefix, answer in self._prefixes:
            if key.startswith(prefix):
                return answer
        return self._exact[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._exact)

    def __len__(self) -> int:
        return len(self._exact)


def read_answers(path: Path) -> dict[str, Answer]:
    """The answers of a YAML file: URL to a mapping with the fields of `Answer`; `body` is a string, `size` a pair.

    Raises:
        ValueError: a field has no such name, or the file is no mapping; the message names file and URL.
    """
    loaded = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    if not isinstance(loaded, dict):
        raise ValueError(f"{path}: write a mapping of URL to answer")
    return {str(url): _answer(entry or {}, f"{path}: {url}") for url, entry in loaded.items()}


def _answer(entry: dict[str, Any], where: str) -> Answer:
    known = {one.name for one in fields(Answer)}
    if unknown := sorted(set(entry) - known):
        raise ValueError(f"{where}: no such field: {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    values = dict(entry)
    if "body" in values:
        values["body"] = str(values["body"]).encode()
    if "size" in values:
        width, height = values["size"]
        values["size"] = (int(width), int(height))
    if "file" in values:
        values["file"] = Path(values["file"])
    return Answer(**values)
