"""Measures, on this machine and on made-up records, what an image costs the commanding process: bytes and seconds.

What real pictures and a real site tell (sizes, hosts) is measured where the folder of real data is, and left out else.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
from simulation_figures import fit

from imgcache.cache import ArticleStat, Catalogue, Index, LocalStore, ReadArticle, ReferenceRow
from imgcache.config import Config
from imgcache.core import Action, Copy, Outcome, Validators, Variant
from imgcache.manifest import ManifestEntry
from imgcache.policy import SyncPolicy
from imgcache.runners.shards import SIZE
from imgcache.scanner import Scanner, Site, site_url_of
from imgcache.syncer import Recorder
from tests.support.cache_samples import unreal_asset

_IMAGES, _AN_ARTICLE = 20_000, 5
_PLACEHOLDER = "data:image/webp;base64," + "A" * 167  # 190 bytes, as photographs have
_ROOT = Path(__file__).resolve().parent.parent.parent


def measured(images: int = _IMAGES) -> dict[str, float | str]:
    """Figures by name, as `simulation_figures` has them."""
    with tempfile.TemporaryDirectory(prefix="imgcache-simulate-") as folder:
        told = _of_records(Path(folder), images)
    shared = Path(os.environ.get("IMGCACHE_SHARED") or _ROOT.parent / "shared")
    if (shared / "images/photos.json").is_file():
        told |= _of_pictures(shared / "images/photos.json")
    if (shared / "site").is_dir():
        told |= _of_site(shared / "site")
    return told


def _of_records(folder: Path, images: int) -> dict[str, float | str]:
    cache = folder / "cache"
    store = LocalStore(cache)
    store.prepare()
    catalogue = Catalogue(cache / "index/catalogue.db", "simulation")
    with catalogue.transaction(), catalogue.filling():
        catalogue.put_articles(list(_articles(images)))
    index = Index(cache / "index")
    recipes = tuple(recipe.fingerprint for recipe in Config().variants)
    recorder = Recorder(
        index=index, catalogue=catalogue, store=store, policy=SyncPolicy(recipes=recipes), clock=time.time
    )
    taken = []
    for first in range(0, images, SIZE):
        begin = time.perf_counter()
        for number in range(first, min(first + SIZE, images)):
            recorder.job(number + 1)
            recorder.record(number + 1, _outcome(number, recipes))
        recorder.flush()
        taken.append((time.perf_counter() - begin) / SIZE)
    for one in (index, catalogue, store):
        one.close()
    return {
        "index_bytes": _whole(cache / "index/cache.db") / images,
        "catalogue_bytes": _whole(cache / "index/catalogue.db") / images,
        "manifest_bytes": statistics.mean(_manifest_line(number, recipes) for number in range(0, images, 100)),
        "command_seconds": statistics.median(taken),
    }


def _manifest_line(number: int, recipes: tuple[str, ...]) -> int:
    """Bytes of `"URL":{…},` and the end of the line, as manifest.json has it."""
    asset = _outcome(number, recipes).asset
    assert asset is not None
    return len(msgspec.json.encode({_url(number): ManifestEntry.of(asset)})) + len(",\n") - len("{}")


def _whole(file: Path) -> int:
    """Bytes of a file, its write-ahead log moved into it."""
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return file.stat().st_size


def _articles(images: int) -> Iterator[ReadArticle]:
    for first in range(0, images, _AN_ARTICLE):
        numbers = range(first, min(first + _AN_ARTICLE, images))
        mentions = [
            ReferenceRow(_url(number), "", "remote", _host(number), line, 10, "images", 1280, 720, None, True)
            for line, number in enumerate(numbers, 3)
        ]
        path = f"_news/2026/11/{first:09}-a-title-as-long-as-titles-are.md"
        yield ReadArticle(ArticleStat(path, 10**18, 5000), f"{first:064x}", "2026-11-23", mentions)


def _host(number: int) -> str:
    return f"images.host-{number % 100:03}.example"


def _url(number: int) -> str:
    """Of 103 characters, which is the mean of a real site's."""
    return f"https://{_host(number)}/wp-content/uploads/2026/11/{number:09}-a-picture-of-something.jpg?w=1280"


def _outcome(number: int, recipes: tuple[str, ...]) -> Outcome:
    digest = f"{number * 0x9E3779B97F4A7C15 % 2**64:064x}"
    home = f"assets/{digest[:2]}/{digest}"
    kinds = (("thumb", 320, "jpeg", "jpg"), ("w320", 320, "webp", "webp"), ("w640", 640, "webp", "webp"),
             ("w1280", 1280, "webp", "webp"))  # fmt: skip
    variants = tuple(
        Variant(name, width, width * 9 // 16, kind, 40_000 + number, f"{home}/{name}.{end}", recipe, digest)
        for (name, width, kind, end), recipe in zip(kinds, recipes, strict=True)
    )
    asset = unreal_asset(digest, width=1920, height=1080, bytes=330_000 + number, placeholder=_PLACEHOLDER,
                         variants=variants, recipes=recipes)  # fmt: skip
    now = time.time()
    copy = Copy(digest, now, now, Validators('"5f3c2a-51615"', "Mon, 23 Nov 2026 08:00:00 GMT"))
    return Outcome(_url(number), Action.FETCHED, copy, asset, bytes_fetched=asset.bytes)


def _of_pictures(listing: Path) -> dict[str, float | str]:
    pictures: list[dict[str, Any]] = json.loads(listing.read_bytes())
    sizes = [float(picture["bytes"]) for picture in pictures]
    recipes = Config().variants
    files = [
        1 + len({(recipe.format, min(picture["width"], recipe.width or picture["width"])) for recipe in recipes})
        for picture in pictures
    ]
    return {
        "bytes": statistics.mean(sizes),
        "bytes_sigma": statistics.pstdev(map(math.log, sizes)),
        "files": statistics.mean(files),
    }


def _of_site(root: Path) -> dict[str, float | str]:
    """By imgcache's own scanner."""
    with tempfile.TemporaryDirectory(prefix="imgcache-simulate-") as folder:
        file, config = Path(folder) / "catalogue.db", Config()
        site = Site(root, site_url_of((root / "_config.yml").read_bytes()))
        scanner = Scanner(
            site, articles=config.articles, exclude=config.exclude, flag=config.flag, cache=Path(folder) / "cache"
        )
        with closing(Catalogue(file, "simulation")) as catalogue:
            scanner.scan(catalogue)
        with closing(sqlite3.connect(file)) as db:
            hosts = Counter(host for (host,) in db.execute("SELECT host FROM image WHERE kind = 'remote'"))
    exponent, power = fit(list(hosts.values()))
    return {"exponent": exponent, "hosts_power": power}
