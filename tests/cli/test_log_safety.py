"""What servers and articles say, in all that a command prints: nothing in it acts on a terminal or a build server."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import imgcache
from examples.origin import Answer, Origin
from imgcache.core import log_safety as logsafe
from tests.conftest import Command, article, picture

BAIT = "##vso[task.setvariable variable=x]y"
NAMES = ("::add-mask::x.md", "##vso[x]\x1b[31m.md", "##teamcity[y].md", "\u202e::group::z.md", "\x9b31m.md")
URLS = (
    f"https://busy.example/{BAIT}.png",
    "::set-output name=x::y",
    "::stop-commands::x",
    f"ftp://x.example/{BAIT}",
    "https://gone.example/\x1b]0;title\x07.png",
)
# What acts: control characters but tab and line feed, changes of direction, and commands to build servers.
ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|##\\w*\\[|^[^\\S\n]*::", re.MULTILINE)
OURS = re.compile(r"^::(?:error|warning|notice) (?:file|title)=[^\n]*$", re.MULTILINE)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    text = article(("https://well.example/a.png", 40, 30)) + "".join(
        f"\n\n![]({url})\n\n<img src='{url}'>" for url in URLS
    )
    for name in NAMES:
        (site / name).write_text(text.replace("\x1b", "&#27;").replace("\x07", "&#7;"))
    (site / f"{BAIT}.md").write_text(f"---\nimages: [\n{BAIT}: ::error::x\n---\n")
    return site


COMMANDS = [
    *(("sync", "--json"), ("sync",), ("sync", "-v", "--log-format", "json"), ("sync", "--only-failed", "-v")),
    *(("audit", "--offline", "--format", form) for form in ("text", "json", "junit", "sarif", "github", "html")),
    *(("status",), ("status", "--json"), ("verify",), ("verify", "--json"), ("gc",), ("gc", "--json")),
    *(("quarantine", "list"), ("export", "jekyll"), ("export", "nginx")),
    *(("audit", "--offline", "--since", f"::error::{BAIT}"), ("audit", "--offline", "--diff")),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_command_prints_what_acts(run: Command, origin: Origin, hostile: Path, words: tuple[str, ...]) -> None:
    origin.answers.set("https://well.example/a.png", picture(40, 30))
    origin.answers.set(URLS[0], Answer(status=503))
    ended = (
        run(words[0], *words[1:2], hostile, *words[2:])
        if words[0] in {"export", "quarantine"}
        else run(words[0], hostile, *words[1:])
    )
    out = OURS.sub(lambda found: found[0][2:], ended.out) if "github" in words else ended.out
    assert ACTIVE.findall(out) == [], out
    assert ACTIVE.findall(ended.err) == [], ended.err
    if "--json" in words and words[0] == "sync":
        assert any(BAIT in (problem["url"] or "") for problem in json.loads(ended.out)["problems"]), "and it reads back"


@pytest.mark.parametrize("url", URLS)
def test_a_url_on_the_command_line_comes_back_harmless(hostile: Path, url: str) -> None:
    for command in ("show", "forget"):
        told = _outside(command, url, str(hostile), str(hostile))
        assert ACTIVE.findall(told) == [], told


def test_what_any_library_logs_or_prints_is_made_harmless() -> None:
    bait = f"{BAIT}\n::error::x\x1b[2J\x9b2J"
    program = f"""
import logging, sys, warnings, click
from imgcache.cli.streams import guarded
from imgcache.cli.options import start_logging, logger
bait = {bait!r}
with guarded():
    for form in ("text", "json"):
        start_logging(dict(log_format=form, verbose=True))
        logger.error("%s", bait)
    logging.getLogger("other").error(bait)
    warnings.warn(bait)
    print(bait)
    click.echo(bait)
    click.echo(bait, err=True)
    sys.stdout.writelines([bait])
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=_environ())
    told = ended.stdout + ended.stderr
    assert told.count("task.setvariable") >= 8
    assert ACTIVE.findall(told) == [], told


def test_a_usage_error_repeats_nothing_that_acts(tmp_path: Path) -> None:
    told = _outside("sync", f"--{BAIT}\n::error::x\x1b[2J", str(tmp_path))
    assert "task.setvariable" in told
    assert ACTIVE.findall(told) == [], told


def test_standard_streams_are_written_in_one_place_alone() -> None:
    package = Path(imgcache.__file__).parent
    allowed = {"cli/__init__.py", "cli/output.py", "cli/streams.py", "server/access_log.py"}
    for path in package.rglob("*.py"):
        if path.relative_to(package).as_posix() in allowed:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                told = ast.unparse(node.func)
                assert not re.fullmatch(r"print|click\.s?echo|sys\.(stdout|stderr)\.(buffer\.)?write", told), path


@given(st.text() | st.text(alphabet="#:[]vso \n\t\x1bx8;\\m"))
def test_laws_of_harmless_text(text: str) -> None:
    told = logsafe.safe_text(text)
    assert ACTIVE.findall(told) == []
    assert logsafe.safe_text(told) == told
    assert told.count("\n") == text.count("\n")
    said = json.dumps({"text": text}, ensure_ascii=False)
    assert json.loads(logsafe.safe_json(said)) == {"text": text}
    assert ACTIVE.findall(logsafe.safe_json(said)) == []
    assert (
        re.sub(r"\x1b\[[0-9;]*m|\x1b\]8;;(file://[!-~]*)?\x1b\\", "", logsafe.safe_text(text, styled=True)).count(
            "\x1b"
        )
        == 0
    )


def _environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("IMGCACHE_")}


def _outside(*words: str) -> str:
    command = [sys.executable, "-m", "imgcache", *words]
    ended = subprocess.run(command, capture_output=True, check=False, env=_environ())
    return (ended.stdout + ended.stderr).decode()
