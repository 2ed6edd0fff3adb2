"""The demo: sync a copy of examples/site from an origin on this machine, look at what came of it, and sync again."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from examples.origin import Origin, answers_for, in_thread

SITE = Path(__file__).parent / "site"
ARTICLE = "_news/2026-01-20-city-bees.md"
IMAGE = "https://images.example.com/2026/01/roof-hives.jpg"
_COLOURS = {"+": "\033[32m", "-": "\033[31m", "@": "\033[36m", "#": "\033[1m"}


class DemoFailed(Exception):
    """Something did not go as the demo tells it."""


def main() -> int:
    """Run the demo and return its exit status: 0 where everything went as told."""
    with tempfile.TemporaryDirectory(prefix="imgcache-demo-") as folder:
        site = Path(folder) / "site"
        shutil.copytree(SITE, site, ignore=shutil.ignore_patterns("cache"))
        with in_thread(Origin(answers_for(site))) as origin:
            try:
                _tell(site, origin)
            except DemoFailed as error:
                print(f"\nThe demo did not go as it should: {error}", file=sys.stderr)
                return 1
    return 0


def _tell(site: Path, origin: Origin) -> None:
    articles = [path for path in site.rglob("*") if path.suffix in (".md", ".html")]
    _heading("A site, and an internet to go with it")
    hosts = {key.split("/", 1)[0] for key in origin.answers}
    _say(
        f"{len(articles)} articles, copied to a temporary folder, link images on {len(hosts)} hosts. A local origin\n"
        "answers for all of them, over HTTP and HTTPS, with images that it draws. Some it breaks on purpose:\n"
        "dead links, a page instead of a picture, a host that is down."
    )
    _heading("The first run")
    status, _ = _imgcache(site, origin, "sync")
    if status != 1:
        raise DemoFailed(f"sync ended with {status}; 1 was expected, because some images have problems")
    _say("\nExit status 1: everything ran, and some images have problems. Here they are there on purpose.")
    _heading(f"What changed in {ARTICLE}")
    _show_difference(ARTICLE, (SITE / ARTICLE).read_text(), (site / ARTICLE).read_text())
    _heading("What is held of one image")
    _show_image(site / "cache", IMAGE)
    _heading("How the cache stands")
    _imgcache(site, origin, "status")
    _heading("The second run")
    before, asked = _digests(site), sum(origin.requests.values())
    _, printed = _imgcache(site, origin, "sync", "--json", show=False)
    summary = json.loads(printed)
    for key in (
        "references",
        "images",
        "cached",
        "reused",
        "fetched",
        "failed",
        "flags_set",
        "flags_cleared",
        "seconds",
    ):
        _say(f"  {key:14} {summary[key]}")
    if summary["fetched"] or _digests(site) != before:
        raise DemoFailed("the second run fetched an image, or changed a file")
    asked = sum(origin.requests.values()) - asked
    _say(f"\nNothing was fetched, and every byte of the site is as it was: {asked} requests, for what failed before.")


def _imgcache(site: Path, origin: Origin, command: str, *options: str, show: bool = True) -> tuple[int, str]:
    """Run imgcache as a user does; return its exit status and, where it is not shown, its standard output."""
    network = origin.connect_to if command == "sync" else []
    short = " ".join(["imgcache", command, site.name, *options, *(["--connect-to …"] if network else [])])
    _say(f"$ {short}\n" if show else f"$ {short}")
    proxies = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}
    environment = {key: value for key, value in os.environ.items() if key.lower() not in proxies}
    ended = subprocess.run(
        [sys.executable, "-m", "imgcache", command, site.name, *options, *network],
        cwd=site.parent,
        env=environment | {"SSL_CERT_FILE": str(origin.ca_file)},
        stdout=None if show else subprocess.PIPE,
        text=True,
        check=False,
    )
    if ended.returncode not in (0, 1):
        raise DemoFailed(f"imgcache {command} ended with {ended.returncode}")
    return ended.returncode, ended.stdout or ""


def _show_difference(name: str, before: str, after: str) -> None:
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), name, name, n=2, lineterm=""))
    if not lines:
        raise DemoFailed(f"nothing changed in {name}")
    for line in lines:
        _say(line, _COLOURS.get(line[:1], ""))


def _show_image(cache: Path, url: str) -> None:
    record = json.loads((cache / "manifest.json").read_text())["images"].get(url)
    if record is None:
        raise DemoFailed(f"{url} is not in the manifest")
    _say(f"{url}\n  colour {record['color']}, placeholder of {len(record['placeholder'])} bytes")
    shown = [("original", record["width"], record["height"], record["bytes"], record["original"])]
    shown += [(one["name"], one["width"], one["height"], one["bytes"], one["path"]) for one in record["variants"]]
    for name, width, height, size, path in shown:
        _say(f"  {name:9} {width:>5} × {height:<5} {size:>8,} bytes  {path[:22]}…/{path.rsplit('/', 1)[-1]}")


def _digests(site: Path) -> dict[str, str]:
    """The SHA-256 of every file of the site and of manifest.json; what is private to imgcache is left out."""
    files = (path for path in sorted(site.rglob("*")) if path.is_file() and "index" not in path.relative_to(site).parts)
    return {str(path.relative_to(site)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _heading(text: str) -> None:
    _say(f"\n# {text}\n", _COLOURS["#"])


def _say(text: str, colour: str = "") -> None:
    coloured = bool(colour) and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    print(f"{colour}{text}\033[0m" if coloured else text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
