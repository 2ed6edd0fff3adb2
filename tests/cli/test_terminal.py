"""What a person at a terminal sees: colours, and the progress of a run. Elsewhere neither is sent."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from examples.origin import Answer, Origin
from imgcache.cli.progress import RateEstimator
from tests.conftest import Command, MakeSite, article, picture

COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-8][0-9;]*m")
NOTE = re.compile(r"([\d.]+)/s · ([\d.]+ k?M?B) · (?:([\d.]+) s left · )?slowest ([a-z.]+)")


def on_terminal(
    *words: str | Path, origin: Origin | None = None, environ: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """A command with a terminal for all its streams: the exit status, and all that was written there."""
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    environment |= {"TERM": "xterm-256color", "COLUMNS": "140", "IMGCACHE_FETCH__RETRIES": "0", **(environ or {})}
    command = [sys.executable, "-m", "imgcache", *map(str, words)]
    if origin is not None:
        environment["SSL_CERT_FILE"] = str(origin.ca_file)
        command += origin.connect_to
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        written = b""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and select.select([ours], [], [], 60)[0]:
            try:
                data = os.read(ours, 65_536)
            except OSError:  # EIO: the other end is closed
                break
            if not data:
                break
            written += data
        return process.wait(timeout=30), written.decode()
    finally:
        process.kill()
        process.wait()
        os.close(ours)


# -- colours -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def unwell(make_site: MakeSite) -> Path:
    """A site with something to complain of, for which nobody is asked."""
    return make_site({"a.md": article(("ftp://x.example/a.png", 1, 1))})


@pytest.mark.parametrize(
    ("environ", "is_coloured"),
    [({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False)],
    ids=["empty, as if not set", "set"],
)
def test_colours_on_a_terminal_unless_no_color_says_otherwise(
    unwell: Path, environ: dict[str, str], is_coloured: bool
) -> None:
    code, out = on_terminal("sync", unwell, environ=environ)
    assert code == 1
    [line] = [line for line in out.splitlines() if "error: bad-scheme" in line]
    assert bool(COLOUR.search(line)) == is_coloured
    if not is_coloured:
        assert not re.search(r"\x1b\[[0-9;]*m", line), "neither bold nor dim"
        assert not COLOUR.search(out)


def test_no_colours_and_no_progress_where_there_is_no_terminal(
    run: Command, unwell: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    ended = run("sync", unwell)
    assert "bad-scheme" in ended.out
    assert "\x1b" not in ended.out
    assert ended.err == ""


# -- progress ----------------------------------------------------------------------------------------------------------


def test_the_bar_tells_of_images_that_hang(origin: Origin, make_site: MakeSite) -> None:
    """Six come at once and one two seconds later: then the line goes on counting."""
    urls = [f"https://quick.example/{number}.jpg" for number in range(6)]
    for url in urls:
        origin.answers.set(url, picture(80, 60))
    slow = "https://slow.example/a.jpg"
    origin.answers.set(slow, Answer(size=(80, 60), delay=2.2))
    site = make_site({"a.md": article(*((url, 80, 60) for url in [*urls, slow]))})
    code, out = on_terminal("sync", site, origin=origin)
    assert code == 0
    notes = [found.groups() for found in NOTE.finditer(out)]
    hanging = [float(left) for _, _, left, host in notes if host == "slow.example" and left]
    assert len(set(hanging)) >= 3, notes
    assert max(hanging) >= 0.8, notes
    assert "6/7" in out
    assert "kB" in notes[-1][1]
    assert float(notes[-1][0]) > 0
    origin.answers.set(slow, picture(80, 60))
    code, quiet = on_terminal("sync", site, "-q", "--refresh", origin=origin)
    assert (code, quiet) == (0, "")


def test_the_pace_counts_what_is_under_way() -> None:
    pace = RateEstimator(10, 100.0)
    assert pace.describe(100.0) == "0.0/s · 0 B"
    for number in range(5):
        pace.started("quick", 100.0 + number)
        pace.ended("quick", 1000, 101.0 + number)
    pace.started("slow", 105.0)
    assert pace.describe(105.0) == "1.0/s · 5.0 kB · 5.0 s left · slowest quick"
    assert pace.describe(106.5) == "0.8/s · 5.0 kB · 6.5 s left · slowest slow"
    pace.started("slow", 106.0)
    assert pace.describe(125.0) == "0.2/s · 5.0 kB · 25 s left · slowest slow"


def test_the_last_image_is_given_as_long_as_it_has_taken() -> None:
    pace = RateEstimator(31, 0.0)
    pace.started("hanging", 0.0)
    for _ in range(30):
        pace.started("quick", 0.0)
        pace.ended("quick", 10, 0.1)
    assert "0.1 s left" in pace.describe(0.1)
    assert "20 s left · slowest hanging" in pace.describe(20.0)
    pace.ended("hanging", 10, 20.0)
    assert pace.describe(20.0) == "1.6/s · 310 B · 0.0 s left · slowest hanging"


def test_no_time_is_left_to_tell_before_anything_has_ended() -> None:
    pace = RateEstimator(3, 0.0)
    pace.started("b", 0.0)
    pace.started("a", 0.0)
    assert pace.describe(7.0) == "0.0/s · 0 B · slowest a"
