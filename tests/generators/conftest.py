"""Each site is built and rewritten once in a session, two at a time, while the browser looks at those that are done."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser

from examples.origin import Origin, in_thread
from tests.generators.pictures import PICTURES
from tests.generators.reading import WATCH, Reader
from tests.generators.sites import GENERATORS, Generator, build, documented, lay_out
from tests.support.browsing import launched, lent


class Rewritten(msgspec.Struct, frozen=True):
    """A site: its folder, what was built of it, a copy of that from before the rewrite, and what `rewrite` said."""

    generator: Generator
    site: Path
    built: Path
    before: Path
    status: int
    report: dict[str, Any]
    errors: str


def imgcache(origin: Origin, *words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """One command; `rewrite` is led to the origin. In a process: the browser has the event loop of this one."""
    command = [sys.executable, "-m", "imgcache", *map(str, words)]
    if words[0] == "rewrite":
        command += origin.connect_to
    environment = os.environ | {"SSL_CERT_FILE": str(origin.ca_file), "IMGCACHE_FETCH__RETRIES": "0"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def _make(generator: Generator, folder: Path, origin: Origin) -> Rewritten:
    site = lay_out(generator, folder)
    build(generator, site)
    words = documented(generator)[1].removeprefix("imgcache ").split()
    built = site / words[-1]
    before = folder / f"{generator.name}-before"
    shutil.copytree(built, before)
    ended = imgcache(origin, *words, "--json", cwd=site)
    assert ended.stdout, ended.stderr
    return Rewritten(generator, site, built, before, ended.returncode, msgspec.json.decode(ended.stdout), ended.stderr)


@pytest.fixture(scope="session")
def pictures() -> Iterator[Origin]:
    """The hosts of all remote images."""
    with in_thread(Origin(PICTURES)) as origin:
        yield origin


@pytest.fixture(scope="session")
def makes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, pictures: Origin
) -> Iterator[dict[str, Future[Rewritten]]]:
    """The sites that the chosen tests ask for, in the making."""
    wanted = {item.callspec.params.get("name") for item in request.session.items if hasattr(item, "callspec")}
    folder = tmp_path_factory.mktemp("generators")
    with ThreadPoolExecutor(2) as pool:
        yield {
            name: pool.submit(_make, generator, folder, pictures)
            for name, generator in GENERATORS.items()
            if name in wanted
        }


@pytest.fixture(params=GENERATORS, scope="session")
def name(request: pytest.FixtureRequest) -> str:
    """The name of a generator."""
    return str(request.param)


@pytest.fixture
def made(name: str, makes: dict[str, Future[Rewritten]]) -> Rewritten:
    """The site of this generator, built and rewritten."""
    return makes[name].result()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for all."""
    with launched() as browser:
        yield browser


@pytest.fixture(scope="session")
def reader(chromium: Browser) -> Iterator[Reader]:
    """A reader of built sites."""
    with lent(chromium, WATCH) as page:
        reader = Reader(page)
        yield reader
        reader.close()


Imgcache = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(pictures: Origin) -> Imgcache:
    """`imgcache`, led to the hosts of the images."""
    return lambda *words: imgcache(pictures, *words)
