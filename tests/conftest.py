"""What all tests share: the command line as a user calls it, an origin on real sockets, and the real data."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import settings

from examples.origin import Answer, Origin, in_thread
from imgcache.cli import imgcache
from tests.support.object_store import S3, s3_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parent.parent

# No test is timed: a machine that is busy is no fault of the code. What Hypothesis does in CI beside that stays.
settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data; a test that needs it is skipped where there is none."""
    folder = Path(os.environ.get("IMGCACHE_SHARED") or ROOT.parent / "shared")
    if not folder.is_dir():
        pytest.skip("no real data: name its folder in IMGCACHE_SHARED")
    return folder


def system_program(name: str, at: Path | None = None) -> str:
    """A program that scripts/system-packages installs: by its name, or as the file `at`.

    Where it is missing, a test that needs it fails in CI, and is skipped elsewhere, saying what to do.
    """
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") if at is None else at.exists() and str(at)
    if found:
        return found
    message = f"{name} is not on this machine: scripts/system-packages installs it"
    if os.environ.get("CI"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


class Ended(msgspec.Struct):
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        """What it printed, as an object."""
        found: dict[str, Any] = msgspec.json.decode(self.out)
        return found


class Command:
    """`imgcache` as a user calls it, with every host led to one origin."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._connect_to: list[str] = []

    def use(self, origin: Origin) -> None:
        """Lead every host to this origin, and trust its CA."""
        self._monkeypatch.setenv("SSL_CERT_FILE", str(origin.ca_file))
        self._connect_to = origin.connect_to

    def __call__(self, *args: str | Path) -> Ended:
        """Run one command in this process."""
        words = [str(word) for word in args]
        if words[0] == "sync" or "--repair" in words:
            words += self._connect_to
        ended = CliRunner().invoke(imgcache, words)
        if ended.exception is not None and not isinstance(ended.exception, SystemExit):
            raise ended.exception
        return Ended(ended.exit_code, ended.stdout, ended.stderr)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command line."""
    for name in list(os.environ):
        if name.startswith("IMGCACHE_") and name != "IMGCACHE_SHARED":
            monkeypatch.delenv(name)
    monkeypatch.setenv("IMGCACHE_FETCH__RETRIES", "0")
    return Command(monkeypatch)


@pytest.fixture
def origin(run: Command) -> Iterator[Origin]:
    """An origin that answers what a test sets; `run` is led to it."""
    with in_thread(Origin({})) as server:
        run.use(server)
        yield server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A server that speaks S3, for all tests of this process that want one."""
    with s3_server(tmp_path_factory.mktemp("s3") / "log") as server:
        yield server


MakeSite = Callable[..., Path]


@pytest.fixture
def make_site(tmp_path: Path) -> MakeSite:
    """Makes a site of the given files, each `path=text`; `"a/b.md"` goes into a dict."""

    def make(files: Mapping[str, str | bytes]) -> Path:
        root = tmp_path / "site"
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return root

    return make


def article(*images: tuple[str, int, int], field: str = "images", body: str = "") -> str:
    """An article with one list of images."""
    lines = ["---", 'title: "A title"', f"{field}:"]
    for url, width, height in images:
        lines += [f"  - url: {url}", f"    width: {width}", f"    height: {height}"]
    return "\n".join([*lines, "---", body]) + "\n"


def picture(width: int, height: int, **fields: object) -> Answer:
    """An answer with a drawn image of this size."""
    return Answer(size=(width, height), **fields)  # type: ignore[arg-type]


@pytest.fixture
def audit(run: Command, origin: Origin) -> Callable[..., Ended]:
    """`imgcache audit` with every host led to the origin."""

    def call(site: Path, *words: str | Path) -> Ended:
        return run("audit", site, *words, *origin.connect_to)

    return call


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for the tests of one file: it runs an event loop, which others could not have beside it."""
    from tests.support.browsing import launched

    with launched() as browser:
        yield browser


A = "https://pictures.example/a.jpg"
B = "https://pictures.example/b.png"


@pytest.fixture
def synced(run: Command, origin: Origin, make_site: MakeSite) -> Path:
    """A site with two images, both held."""
    origin.answers.set(A, picture(800, 600))
    origin.answers.set(B, picture(80, 60))
    site = make_site({"a.md": article((A, 800, 600)), "b.md": article((A, 800, 600), (B, 80, 60))})
    assert run("sync", site).code == 0
    return site


@pytest.fixture
def other_shape(run: Command, origin: Origin, make_site: MakeSite) -> Path:
    """A site whose one image is of another shape than declared."""
    origin.answers.set(A, picture(300, 400))
    return make_site({"a.md": article((A, 400, 300))})
