"""Hugo: a data file and a partial."""

from __future__ import annotations

from collections.abc import Mapping

from imgcache.publisher.export import template
from imgcache.publisher.picture_data import HeldImage, document


def files(images: Mapping[str, HeldImage], assets_url: str) -> dict[str, bytes]:
    """Returns the files for the site's folder, by path."""
    return {
        "data/imgcache.json": document("hugo", assets_url, images.items()),
        "layouts/partials/imgcache.html": template("hugo.html", "hugo").encode(),
    }


USAGE = """\
In a layout:
  {{ partial "imgcache.html" (dict "image" (index .Params.images 0) "alt" .Title "sizes" "40em") }}
"""
