"""Front matter and data files of real sites, beside what an independent scanner and a reader found in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Command

SITES = ["coderzh-hugo-blog", "eleventy-blog", "kubeflow", "origogi.github.io", "prakhar1989"]
CLASSES = ("fm(", "data file")
# The truth has these three times: each is the end of the address of a proxy, which is the image that the file names.
ENDS_OF_ADDRESSES = (
    "//dev-to-uploads.s3.amazonaws.com/uploads/articles/mvvgyo6v9ipghvdorsdi.jpg",
    "//practicaldev-herokuapp-com.freetls.fastly.net/assets/devlogo-pwa-512.png",
)


@pytest.mark.parametrize("name", SITES)
def test_every_image_of_fields_and_data_is_seen_and_none_is_invented(run: Command, shared: Path, name: str) -> None:
    site = shared / "sites" / name
    lines = (site.parent / f"{name}.truth.jsonl").read_text().splitlines()
    truth = [tuple(json.loads(line)) for line in lines]
    wanted = {(url, file) for kind, url, file, _ in truth if kind.startswith(CLASSES) and url not in ENDS_OF_ADDRESSES}
    listed = run("scan", site, "--json").json()["references"]
    assert wanted <= {(one["url"], one["article"]) for one in listed}
    fields = [one for one in listed if one["kind"] == "remote" and one["field"] not in {"body", "shortcode"}]
    more = {(one["url"], one["article"], one["field"]) for one in fields if (one["url"], one["article"]) not in wanted}
    # The truth has no address without an extension: in these files they stand below `image` and `logo`.
    assert {field for *_, field in more} <= {"data"}
    for url, file, _ in more:
        assert named_by(json.loads((site / file).read_text()), url) <= {"image", "logo"}, url


def named_by(values: object, url: str, *keys: str) -> set[str]:
    """The keys above the `url` of each mapping that has this address."""
    if isinstance(values, dict):
        return set().union(*(named_by(value, url, *keys, key) for key, value in values.items()))
    return {keys[-2] if keys[-1] == "url" else keys[-1]} if values == url else set()
