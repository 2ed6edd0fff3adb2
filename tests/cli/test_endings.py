"""How a run ends where the system does not play along: in words and a status, never in a traceback."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from imgcache.cli import unforeseen
from tests.conftest import Command, MakeSite, article

UNWELL = article(("ftp://x.example/a.png", 1, 1))


def outside(*words: str | Path, environ: Mapping[str, str] = {}, **how: object) -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IMGCACHE_")}
    environment.update(environ)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
    command = [sys.executable, "-m", "imgcache", *map(str, words)]
    return subprocess.run(command, env=environment, check=False, timeout=60, **streams)  # type: ignore[call-overload,no-any-return]


def one_line(data: bytes) -> str:
    [line] = data.decode().splitlines()
    assert line.startswith("imgcache: ")
    return line


@pytest.fixture
def site(make_site: MakeSite) -> Path:
    return make_site({"ä.md": UNWELL})


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [("status",), ("status", "--json")], ids=" ".join)
def test_a_full_standard_output(site: Path, words: tuple[str, ...], unbuffered: str) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = outside(words[0], site, *words[1:], stdout=full, environ={"PYTHONUNBUFFERED": unbuffered})
    assert (ended.returncode, one_line(ended.stderr)) == (
        1,
        "imgcache: standard output cannot be written: No space left on device; what was done is kept",
    )


def test_a_reader_that_has_gone(site: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        ended = outside("sync", site, "--offline", stdout=theirs)
    finally:
        os.close(theirs)
    assert ended.returncode == 1
    assert "Broken pipe" in one_line(ended.stderr)
    assert (site / "cache/manifest.json").is_file(), "the work itself was done"


def test_a_standard_output_that_was_never_open(site: Path) -> None:
    command = f'exec "{sys.executable}" -m imgcache sync "{site}" --offline --json >&-'
    ended = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, check=False)
    assert ended.returncode == 1
    assert "standard output cannot be written" in one_line(ended.stderr)
    assert outside("status", site).returncode == 0, "no database was taken for it"


@pytest.mark.parametrize("words", [("audit", "--offline"), ("audit", "--offline", "--json")], ids=" ".join)
def test_names_that_are_not_ascii_in_the_c_locale(site: Path, words: tuple[str, ...]) -> None:
    ended = outside(words[0], site, *words[1:], environ={"LC_ALL": "C", "PYTHONUTF8": "0"})
    assert (ended.returncode, ended.stderr) == (1, b"")
    assert "ä.md" in ended.stdout.decode()


def test_names_that_are_no_text_at_all(site: Path) -> None:
    Path(os.fsdecode(os.fsencode(site) + b"/caf\xe9.md")).write_text(UNWELL)
    for words in ("audit", "--offline"), ("audit", "--offline", "--json"), ("sync", "--json", "--offline"), ("status",):
        ended = outside(words[0], site, *words[1:])
        assert ended.returncode in {0, 1}, ended.stderr
        assert b"Traceback" not in ended.stderr
        assert b"internal error" not in ended.stderr


def test_a_cache_where_no_folder_can_be(run: Command, site: Path) -> None:
    ended = run("sync", site, "--cache", "/proc/nothing")
    assert ended.code == 2
    assert ended.err.startswith("imgcache: /proc/nothing")
    assert "name another folder with --cache" in ended.err


def test_too_little_memory(site: Path) -> None:
    """With 60 MB, modules load and no thread starts. With less than 50 MB the interpreter itself fails anywhere."""
    most = 60 << 20
    ended = outside("sync", site, "--offline", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (most, most)))
    assert b"Traceback" not in ended.stderr
    assert ended.returncode == 1
    assert "too little memory" in ended.stderr.decode()


# -- what nobody foresaw -----------------------------------------------------------------------------------------------

BROKEN = """
import sys
from imgcache import cli
from imgcache.wiring import open_cache
def broken(*_, **__):
    raise KeyError("no such \\x1b[31mkey")
open_cache.open_for_reading = broken
sys.argv = ["imgcache", *sys.argv[1:]]
cli.main()
"""


@pytest.mark.parametrize("words", [[], ["-v"], ["--log-format", "json"]], ids=" ".join)
def test_an_exception_that_nobody_foresaw_is_one_line_and_with_v_its_place(site: Path, words: list[str]) -> None:
    ended = subprocess.run([sys.executable, "-c", BROKEN, "status", site, *words], capture_output=True, check=False)
    told = ended.stderr.decode()
    assert ended.returncode == 1
    assert "internal error: KeyError" in told.splitlines()[0]
    assert "report what it prints" in told
    assert "\x1b" not in told
    assert ("Traceback" in told) is (words == ["-v"])
    assert len(told.splitlines()) == 1 or words == ["-v"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "too little memory"),
        (RuntimeError("can't start new thread"), "too little memory"),
        (ImportError("x.so: failed to map segment from shared object"), "too little memory"),
        (OSError(24, "Too many open files", "/x"), "/x: Too many open files; what was finished is kept"),
        (
            ExceptionGroup("two", [ValueError("a\nb"), KeyError()]),
            "internal error: ValueError: a b (at an unknown place",
        ),
    ],
)
def test_what_is_said_of_an_exception(error: Exception, told: str) -> None:
    assert told in unforeseen.describe(error)
    assert "\n" not in unforeseen.describe(error)
