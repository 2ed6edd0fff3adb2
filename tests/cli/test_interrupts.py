"""Commands that are ended by a signal at a chosen moment: words and no traceback; the next command goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from examples.origin import Origin
from tests.conftest import A, B, Command, Ended, article, picture
from tests.support.site_files import manifest

# Runs imgcache in a process that sends itself a signal: when a module is about to be loaded, or before the nth call.
_SCRIPT = """
import importlib, os, signal, sys
what, number, count = sys.argv.pop(1), int(sys.argv.pop(1)), int(sys.argv.pop(1))
class Loading:
    def find_spec(self, name, path=None, target=None):
        if name == what:
            os.kill(os.getpid(), number)
if ":" not in what:
    sys.meta_path.insert(0, Loading())
else:
    module, _, rest = what.partition(":")
    owner, _, name = rest.partition(".")
    owner = getattr(importlib.import_module(module), owner)
    real, left = getattr(owner, name), [count]
    def call(*args, **words):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), number)
        return real(*args, **words)
    setattr(owner, name, call)
from imgcache.cli import main
main()
"""


def cut_off(moment: str, number: signal.Signals, *words: str | Path, count: int = 1) -> Ended:
    """Run a command that gets a signal at this moment."""
    command = [sys.executable, "-c", _SCRIPT, moment, str(int(number)), str(count), *map(str, words)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return Ended(ended.returncode, ended.stdout, ended.stderr)


@pytest.mark.parametrize(
    ("module", "number"), [("yaml.constructor", signal.SIGTERM), ("imgcache.cli.verify", signal.SIGINT)]
)
def test_an_interruption_while_modules_are_loaded(synced: Path, module: str, number: signal.Signals) -> None:
    ended = cut_off(module, number, "verify", synced)
    assert (ended.code, ended.err) == (130, "imgcache: interrupted; what was finished is kept\n")


def test_a_command_that_reads_leaves_nothing_behind(synced: Path, tmp_path: Path) -> None:
    os.environ["TMPDIR"], before = str(tmp_path / "tmp"), os.environ.get("TMPDIR")
    try:
        (tmp_path / "tmp").mkdir()
        ended = cut_off("imgcache.scanner.walk:Scanner.scan", signal.SIGTERM, "status", synced)
    finally:
        os.environ.pop("TMPDIR")
        os.environ |= {"TMPDIR": before} if before else {}
    assert (ended.code, list((tmp_path / "tmp").iterdir())) == (130, [])


@pytest.mark.parametrize(
    ("moment", "count", "number"),
    [
        ("imgcache.cache.kept:RemovedImages.begin", 1, signal.SIGTERM),
        ("imgcache.cache.index.index:Index.drop_copy", 2, signal.SIGKILL),
        ("imgcache.cache.store.local:LocalStore.remove", 1, signal.SIGKILL),
        ("imgcache.cache.store.local:LocalStore.remove", 2, signal.SIGTERM),
        ("imgcache.manifest.document:Manifest.export", 1, signal.SIGKILL),
    ],
)
def test_a_gc_that_is_cut_off_loses_nothing(
    run: Command, origin: Origin, synced: Path, moment: str, count: int, number: signal.Signals
) -> None:
    texts = {file: file.read_bytes() for file in synced.glob("*.md")}
    for file in texts:
        file.unlink()
    ended = cut_off(moment, number, "gc", synced, "--yes", count=count)
    assert ended.code == (130 if number == signal.SIGTERM else -signal.SIGKILL)
    assert "Traceback" not in ended.err
    verified = run("verify", synced, "--json").json()["found"]
    assert [one for one in verified if one["code"] != "manifest"] == []  # which the next writer writes anew
    for file, data in texts.items():
        file.write_bytes(data)
    asked = dict(origin.requests)
    assert run("sync", synced).code == 0
    assert dict(origin.requests) == asked
    assert manifest(synced).keys() == {A, B}
    assert run("verify", synced).code == 0
    assert {file: file.read_bytes() for file in synced.glob("*.md")} == texts


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("imgcache.cache.store.local:LocalStore.commit", signal.SIGTERM),
        ("imgcache.syncer.recorder:Recorder.flush", signal.SIGKILL),
        ("imgcache.manifest.document:Manifest.write_article", signal.SIGINT),
        ("imgcache.manifest.document:Manifest.export", signal.SIGKILL),
    ],
)
def test_a_sync_that_is_cut_off_is_ended_by_the_next(
    run: Command, origin: Origin, synced: Path, moment: str, number: signal.Signals
) -> None:
    origin.answers.set("https://new.example/c.jpg", picture(60, 40))
    (synced / "c.md").write_text(article(("https://new.example/c.jpg", 60, 40)))
    ended = cut_off(moment, number, "sync", synced, *origin.connect_to)
    assert ended.code in ({-signal.SIGKILL} if number == signal.SIGKILL else {0, 130})
    assert "Traceback" not in ended.err
    assert run("sync", synced).code == 0
    assert run("verify", synced).code == 0
    assert (synced / "c.md").read_text().count("isCached: true") == 1


def test_a_repair_that_is_cut_off_says_so(run: Command, origin: Origin, synced: Path) -> None:
    next(synced.rglob("original.jpg")).write_bytes(b"")
    moment = "imgcache.cache.store.local:LocalStore.commit"
    ended = cut_off(moment, signal.SIGTERM, "verify", "--repair", synced, *origin.connect_to)
    assert (ended.code, ended.err) == (130, "imgcache: interrupted; what was finished is kept\n")
    assert run("verify", "--repair", synced).code == 0
