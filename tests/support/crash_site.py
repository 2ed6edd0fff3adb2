"""A small site, an origin that has its images, and what an undisturbed sync makes of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.origin import Answer, Origin, in_thread
from tests.conftest import article
from tests.support.aftermath import ExpectedSite, Nursery, outside

URLS = tuple(f"http://pictures.example/{name}" for name in ("one.jpg", "two.png", "three.webp"))
_SIZES = ((64, 48), (60, 40), (80, 60))
_CONFIG = "variants: [{name: w32, width: 32, effort: 0}]\nfetch: {retries: 0}\n"


class CrashSite:
    """Copies of a site, and command lines in processes of their own to work on them."""

    def __init__(self, folder: Path, origin: Origin) -> None:
        self.origin = origin
        self._folder = folder
        self._pristine = folder / "pristine"
        (self._pristine / "news").mkdir(parents=True)
        (self._pristine / "imgcache.yml").write_text(_CONFIG)
        (self._pristine / "one.md").write_text(
            article(*((url, *size) for url, size in zip(URLS[:2], _SIZES[:2], strict=True)))
        )
        (self._pristine / "news/two.md").write_bytes(article((URLS[2], *_SIZES[2])).replace("\n", "\r\n").encode())
        environment = {"SSL_CERT_FILE": str(origin.ca_file)}  # one authority is read faster than all of the system's
        self.nursery = Nursery(folder, origin.connect_to, environment, quick=True)
        self._synced = self.fresh("synced")
        ended = self.nursery.sync(self._synced)
        assert ended.code == 0, ended
        self.expected = ExpectedSite.of(outside(self._pristine), self._synced)
        assert self.expected.broken(self._synced) + self.expected.differs(self._synced) == []
        assert self.expected.before != self.expected.after

    @property
    def asked(self) -> int:
        """Requests for the images of the site, so far."""
        return sum(self.origin.requests[url] for url in URLS)

    def fresh(self, name: str = "site") -> Path:
        """The site in its original state, with nothing cached."""
        return self._copy(self._pristine, name)

    def synced(self) -> Path:
        """The site as an undisturbed sync leaves it."""
        return self._copy(self._synced, "site")

    def _copy(self, source: Path, name: str) -> Path:
        site = self._folder / name
        shutil.rmtree(site, ignore_errors=True)
        shutil.copytree(source, site)
        return site

    def assert_recovers(self, site: Path, *words: str) -> None:
        """The laws hold now, and the next run ends as if nothing had been."""
        wrong = self.expected.broken(site)
        assert not wrong, wrong
        ended = self.nursery.sync(site, *words)
        assert ended.code == 0, ended
        wrong = self.expected.broken(site) + self.expected.differs(site)
        assert not wrong, wrong


@contextmanager
def crash_site(folder: Path) -> Iterator[CrashSite]:
    """The site, its origin and its processes while the block lasts. `folder` is empty, and others may enter it."""
    with in_thread(Origin({url: Answer(size=size) for url, size in zip(URLS, _SIZES, strict=True)})) as origin:
        made = CrashSite(folder, origin)
        with made.nursery:
            yield made
