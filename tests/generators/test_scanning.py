"""What `imgcache scan` lists of each generator's articles, held against what a browser loads of the built pages."""

from __future__ import annotations

import msgspec

from examples.origin import normal
from tests.generators.conftest import Imgcache, Rewritten
from tests.generators.pictures import PICTURES, THEME
from tests.generators.reading import WIDTHS, Reader
from tests.generators.sites import HERO


def test_scan_lists_what_the_built_pages_load_less_what_templates_add(
    made: Rewritten, reader: Reader, command: Imgcache
) -> None:
    scanned = msgspec.json.decode(command("scan", made.site, "--json").stdout)
    listed = {normal(one["url"].removeprefix("//")) for one in scanned["references"] if one["kind"] == "remote"}
    loaded = {normal(HERO)}  # named by og:image, which no browser loads
    for path in made.generator.pages:
        for width in WIDTHS:
            loaded |= {normal(url) for url in reader.look(made.before, path, width, answered=PICTURES.keys()).foreign}
    assert listed == {url for url in loaded if not url.startswith(normal(THEME))}
    assert {one["article"] for one in scanned["references"]} == {made.generator.index, made.generator.article}
