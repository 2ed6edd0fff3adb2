"""The golden test on generated sites: other parsers find each flag that is set, and cleared the bytes come back."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from examples.origin import Answer, Origin
from tests.conftest import Command, picture
from tests.support.documents import FIELDS, FLAG, HELD, SIZES, Sample, flagged, samples, sized

_VARIANTS = [{"name": "w320", "width": 320, "effort": 0}]  # as fast as can be


def written(folder: Path, articles: list[Sample], **config: object) -> dict[str, bytes]:
    """Write a site; returns the bytes of its articles by name."""
    (folder / "imgcache.yml").write_text(json.dumps({"flag": FLAG, "variants": _VARIANTS} | config))
    files = {f"{number}.md": article.data for number, article in enumerate(articles)}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return files


def read(folder: Path, names: dict[str, bytes]) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in names}


laws = settings(
    max_examples=4,
    phases=[Phase.generate],  # making an example smaller would take hundreds of runs
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)


@pytest.mark.parametrize("fields", sorted(FIELDS))
@laws
@given(articles=st.lists(samples(), min_size=12, max_size=12))
def test_a_sync_sets_and_clears_flags_and_the_same_bytes_come_back(
    fields: str, articles: list[Sample], run: Command, origin: Origin
) -> None:
    setting, lists = FIELDS[fields]
    for url in HELD:
        origin.answers.set(url, picture(*SIZES[url]))
    with tempfile.TemporaryDirectory() as name:
        site = Path(name)
        before = written(site, articles, fields=setting)
        report = run("sync", site, "--json").json()
        after = read(site, before)
        for article, data in zip(articles, after.values(), strict=True):
            assert article.read(data) == flagged(article.values, lists), data.decode()
        again = run("sync", site, "--json").json()
        assert (again["fetched"], again["flags_set"], again["flags_cleared"]) == (0, 0, 0)
        assert read(site, before) == after
        for url in HELD:
            origin.answers.set(url, Answer(status=404))
        shutil.rmtree(site / "cache")
        assert run("sync", site, "--json").json()["flags_cleared"] == report["flags_set"]
        assert read(site, before) == before


@laws
@given(articles=st.lists(samples(wrong=FLAG), min_size=12, max_size=12))
def test_true_sizes_are_written_and_nothing_else(articles: list[Sample], run: Command, origin: Origin) -> None:
    for url in HELD:
        origin.answers.set(url, picture(*SIZES[url]))
    with tempfile.TemporaryDirectory() as name:
        site = Path(name)
        before = written(site, articles, dimensions="fix")
        run("sync", site)
        after = read(site, before)
        for article, data in zip(articles, after.values(), strict=True):
            assert article.read(data) == flagged(sized(article.values, FLAG), FLAG), data.decode()
        run("sync", site)
        assert read(site, before) == after
