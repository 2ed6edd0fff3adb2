"""What a person at a terminal reads, at 60, 80 and 120 columns: groups, line breaks, links, the verdict, and helps."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shlex
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from examples.origin import Answer, Origin
from imgcache import cli
from tests.conftest import A, Command, MakeSite, article, picture

WIDTHS = (60, 80, 120)
LINK = re.compile(r"\x1b\]8;;(file://[!-~]+)\x1b\\([^\x1b]+)\x1b\]8;;\x1b\\")
_ESCAPES = re.compile(r"\x1b\]8;;[^\x1b]*\x1b\\|\x1b\[[0-9;?]*[A-Za-z]")
_UNBREAKABLE = re.compile(r"\S*(?:https?://|/)\S*|[\w.-]+:\d+:\d+\S*")


def at_width(width: int, *words: str | Path, origin: Origin | None = None) -> tuple[int, str]:
    """A command on a terminal of so many columns: the exit status and all that was written there."""
    environ = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "LINES"}}
    environ |= {"TERM": "xterm-256color", "IMGCACHE_FETCH__RETRIES": "0"}
    command = [sys.executable, "-m", "imgcache", *map(str, words)]
    if origin is not None:
        environ["SSL_CERT_FILE"] = str(origin.ca_file)
        command += origin.connect_to
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    process = subprocess.Popen(command, env=environ, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = b""
    try:
        while select.select([ours], [], [], 60)[0]:
            try:
                written += os.read(ours, 65_536)
            except OSError:  # EIO: the other end is closed
                break
        return process.wait(timeout=30), written.decode()
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def shown(text: str) -> list[str]:
    """The lines as they stand there in the end: what was erased (ECMA-48, 8.3.41) or written over is gone."""
    lines = (line.split("\x1b[2K")[-1] for line in text.replace("\r\n", "\n").split("\n"))
    return [_ESCAPES.sub("", line).split("\r")[-1].rstrip() for line in lines]


@pytest.fixture
def unwell(make_site: MakeSite, origin: Origin) -> Path:
    """A site of eight images that fail: seven of one host for the same reason, and one that no host has."""
    origin.answers.set(A, picture(40, 30))
    gone = [f"https://pictures.example/gone/{number}.jpg" for number in range(7)]
    for url in gone:
        origin.answers.set(url, Answer(status=404))
    images = ((A, 40, 30), *((url, 40, 30) for url in gone), ("ftp://files.example/a.png", 4, 4))
    return make_site({"news/a.md": article(*images), "news/b.md": article((gone[0], 40, 30))})


@pytest.mark.parametrize("command", ["sync", "audit", "status"])
def test_no_line_is_longer_than_the_terminal_and_no_word_is_broken(
    run: Command, unwell: Path, origin: Origin, command: str
) -> None:
    run("sync", unwell)
    origin_of = None if command == "status" else origin
    whole = {word for line in shown(at_width(400, command, unwell, origin=origin_of)[1]) for word in line.split()}
    for width in WIDTHS:
        code, text = at_width(width, command, unwell, origin=origin_of)
        assert code == 1
        lines = shown(text)
        assert [line for line in lines if len(line) > width and not _UNBREAKABLE.search(line)] == []
        words = {word for line in lines for word in line.split()}
        assert {word for word in words - whole if not word[0].isdigit()} == set()


def test_problems_are_grouped_by_cause_and_host_with_the_first_images(run: Command, unwell: Path) -> None:
    lines = run("sync", unwell).out.splitlines()
    at = lines.index("error: http-status (7)")
    assert lines[at + 1 : at + 8] == [
        "  pictures.example: 7 images",
        "    the server answered 404 Not Found",
        "    https://pictures.example/gone/0.jpg",
        "      news/a.md:8:10",
        "      news/b.md:4:10",
        "    https://pictures.example/gone/1.jpg",
        "      news/a.md:11:10",
    ]
    assert "    and 2 more; -v lists all" in lines
    assert "gone/6.jpg" not in "\n".join(lines)
    every = run("sync", unwell, "-v").out
    assert "gone/6.jpg" in every
    assert "-v lists all" not in every


def test_a_message_that_several_hosts_share_is_said_once(run: Command, make_site: MakeSite, origin: Origin) -> None:
    urls = [f"https://{host}.example/{number}.jpg" for host in "ab" for number in range(2)]
    for url in urls:
        origin.answers.set(url, Answer(status=404))
    site = make_site({"a.md": article(*((url, 40, 30) for url in urls))})
    lines = run("sync", site, *origin.connect_to).out.splitlines()
    at = lines.index("error: http-status (4)")
    assert lines[at + 1 : at + 4] == [
        "  the server answered 404 Not Found",
        "  a.example: 2 images",
        "    https://a.example/0.jpg",
    ]
    assert sum("404" in line for line in lines) == 1


def test_the_last_lines_are_the_verdict_what_to_do_first_and_the_next_command(run: Command, unwell: Path) -> None:
    assert run("sync", unwell).out.splitlines()[-3:] == [
        "8 errors; 1 of 9 images are cached.",
        "First, http-status (7): link the image at its current address, or remove it.",
        "Next: `imgcache sync --only-failed` tries the failed images again.",
    ]


def test_where_no_server_answers_the_network_comes_first(run: Command, make_site: MakeSite) -> None:
    site = make_site({"a.md": article((A, 40, 30))})
    ended = run("sync", site, "--connect-to", "::127.0.0.1:9")
    assert ended.out.splitlines()[-3:] == [
        "1 error; the image is not cached.",
        "First: check the network, the proxy and the DNS of this machine, for no server answered.",
        "Next: `imgcache sync --only-failed` tries the failed images again.",
    ]


def test_where_all_is_well_the_next_command_has_the_folder_of_the_generator(
    run: Command, make_site: MakeSite, origin: Origin
) -> None:
    origin.answers.set(A, picture(40, 30))
    site = make_site({"a.md": article((A, 40, 30)), "_config.yml": "title: A\n"})
    assert run("sync", site, "--dry-run").out.splitlines()[-2:] == [
        "The image would be cached.",
        "Next: `imgcache sync` does this.",
    ]
    assert run("sync", site).out.splitlines()[-2:] == [
        "The image is cached.",
        "Next: build the site; `imgcache rewrite _site` then makes its pages load these images.",
    ]
    assert run("sync", site, "-q").out == ""


def test_places_are_links_on_a_terminal_alone(run: Command, unwell: Path, origin: Origin) -> None:
    for command in ("sync", "audit"):
        links = LINK.findall(at_width(80, command, unwell, origin=origin)[1])
        assert (f"file://{unwell}/news/a.md", "news/a.md:8:10") in links
        assert "\x1b" not in run(command, unwell, *origin.connect_to).out


def test_an_unknown_address_is_answered_with_the_nearest(run: Command, unwell: Path) -> None:
    run("sync", unwell)
    for command in ("show", "forget"):
        ended = run(command, A.replace(".jpg", ".pjg"), unwell)
        assert (ended.code, f"nearest known URL is {A}" in ended.err) == (1, True), command


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with the words that call it, groups included."""
    context = click.Context(cli.imgcache, info_name="imgcache")
    yield "", cli.imgcache
    for name in cli.COMMANDS:
        command = cli.imgcache.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", one) for inner, one in command.commands.items())


@pytest.mark.parametrize("width", WIDTHS)
def test_each_help_ends_with_examples_and_is_cut_nowhere(width: int) -> None:
    for name, command in commands():
        text = click.Context(command, info_name=f"imgcache {name}".strip(), terminal_width=width - 2).get_help()
        assert "..." not in re.sub(r"\[[A-Z|]+\]\.\.\.", "", text), name
        if name == "completion":
            continue  # it ends with the lines that load the script
        lines = text.rstrip().splitlines()
        at = max(number for number, line in enumerate(lines) if line.strip() in {"Examples:", "Example:"})
        assert all(line.strip().startswith("imgcache ") for line in lines[at + 1 :]), name
        assert max(len(line) for line in lines if "https://" not in line) <= width, name


def test_each_example_is_a_command_that_is_understood() -> None:
    found = 0
    for name, command in commands():
        for line in (command.epilog or "").splitlines():
            for part in re.split(r" && | \| ", line.strip()):
                words = shlex.split(part)
                if not words or words[0] != "imgcache":
                    continue
                _parse(words[1:])
                found += 1
                assert name == "" or " ".join(words[1:]).startswith(name.split()[0])
    assert found > 20


def _parse(words: list[str]) -> None:
    """Parse the words of a command line, without the check of what exists. Raises click.UsageError."""
    command: click.Command = cli.imgcache
    context = click.Context(command, info_name="imgcache")
    while isinstance(command, click.Group):
        inner = command.get_command(context, words[0])
        assert inner is not None, words
        command, words = inner, words[1:]
    command.make_parser(context).parse_args(words)
