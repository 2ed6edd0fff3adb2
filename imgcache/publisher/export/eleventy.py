"""Eleventy: a data file and a shortcode."""

from __future__ import annotations

from collections.abc import Mapping

from imgcache.publisher.export import template
from imgcache.publisher.picture_data import HeldImage, document


def files(images: Mapping[str, HeldImage], assets_url: str) -> dict[str, bytes]:
    """Returns the files for the site's input folder, by path."""
    return {
        "_data/imgcache.json": document("eleventy", assets_url, images.items()),
        "imgcache.shortcode.cjs": template("eleventy.cjs", "eleventy").encode(),
    }


USAGE = """\
In the configuration (in a CommonJS one: const imgcache = require("./imgcache.shortcode.cjs");):
  import imgcache from "./imgcache.shortcode.cjs";
  eleventyConfig.addPlugin(imgcache);
In a template:
  {% imgcache images[0], title, "(max-width: 40em) 100vw, 40em" %}
"""
