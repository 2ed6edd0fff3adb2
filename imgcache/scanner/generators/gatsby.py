"""Gatsby: `gatsby-config.js`, as text (https://www.gatsbyjs.com/docs/reference/config-files/gatsby-config/)."""

from __future__ import annotations

from pathlib import Path

from imgcache.scanner.generators.layout import Layout, address, mounts
from imgcache.scanner.generators.script import read_script
from imgcache.scanner.markup.syntax import Syntax


def layout(root: Path, file: str) -> Layout:
    """Return the layout of a site of Gatsby."""
    script = read_script(root / (file or "gatsby-config.js"))
    return Layout(
        title=script["siteMetadata.title"],
        site_url=address(script["siteMetadata.siteUrl"], script["pathPrefix"]),
        content=("src/pages", "content"),
        mounts=mounts("static", "content", "src", ""),
        nothing=frozenset({"public", ".cache"}),
        syntax=Syntax(calls=(), footnotes=True),
    )
