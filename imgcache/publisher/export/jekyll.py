"""Jekyll: a data file and an include in plain Liquid, so that it works without plugins, on GitHub Pages too."""

from __future__ import annotations

from collections.abc import Mapping

from imgcache.publisher.export import template
from imgcache.publisher.picture_data import HeldImage, document, encode

# Jekyll reads _data/*.json with a YAML parser, in which a key of more than 1,024 characters breaks the whole file
# (YAML 1.1, section 7.4.2; libyaml). Longer URLs, mostly signed ones, go into a list instead.
_LONGEST_KEY = 1000


def files(images: Mapping[str, HeldImage], assets_url: str) -> dict[str, bytes]:
    """Returns the files for the site's source folder, by path."""
    keys = {url: held for url, held in images.items() if len(encode(url)) <= _LONGEST_KEY}
    long = [b'{"url":%s,%s' % (encode(url), encode(held)[1:]) for url, held in images.items() if url not in keys]
    rest = b',\n"long":[\n%s\n]' % b",\n".join(long) if long else b""
    return {
        "_data/imgcache.json": document("jekyll", assets_url, keys.items(), rest),
        "_includes/imgcache.html": template("jekyll.html", "jekyll").encode(),
    }


USAGE = """\
In a layout, an include or an article:
  {% include imgcache.html url=page.images.first.url alt=page.title sizes="(max-width: 40em) 100vw, 40em" %}
"""
