"""The configuration of one run: every setting as a value, with its default."""

from __future__ import annotations

import msgspec

from imgcache.config.profiles import PROFILES
from imgcache.core import Dimensions, FetchPolicy, ImageError, Limits, Recipe, request_url
from imgcache.core.version import __version__


class ServePolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `imgcache serve`.

    `memory` is how many bytes of images one worker keeps in memory. `large` is how other files of an object store are
    sent; those of a folder are always streamed. `gallery` is who may see the gallery; `local` is this machine alone.
    """

    memory: int = 64_000_000
    fallback: str = "none"  # none | placeholder
    client_hints: bool = False
    access_log: str = "off"  # text | json | off
    large: str = "stream"  # stream | redirect
    gallery: str = "local"  # on | local | off


class RewritePolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How `imgcache rewrite` changes pages.

    `links`: links to an image lead to the local file as well. `picture`: several formats are offered by a `<picture>`
    around the `<img>`. `styles`: inline styles may be added. `placeholder`: the image's colour and placeholder stand
    behind it until it is loaded.
    """

    links: bool = False
    picture: bool = True
    styles: bool = True
    placeholder: bool = True


class ReaderBudget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one article may make its reader load: foreign hosts, and bytes of hotlinked images. None is no limit."""

    hosts: int | None = None
    bytes_per_article: int | None = None


class Config(msgspec.Struct, frozen=True):
    """All settings, validated. `imgcache init` writes a file that explains them."""

    articles: tuple[str, ...] = ("**/*.md", "**/*.markdown", "**/*.mdx", "**/*.html", "**/*.njk")
    fields: str | tuple[str, ...] = "auto"  # auto | none | paths of keys
    data: str | tuple[str, ...] = "auto"  # auto | none | globs
    exclude: tuple[str, ...] = ()
    generator: str = "auto"
    site_url: str | None = None
    flag: tuple[str, ...] = ("images", "related.images")
    dimensions: Dimensions = Dimensions.CHECK
    variants: tuple[Recipe, ...] = PROFILES["classic"]
    limits: Limits = Limits()
    fetch: FetchPolicy = FetchPolicy()
    respect_robots: bool = True
    respect_robots_tag: bool = False
    svg: str = "refuse"
    allow_networks: tuple[str, ...] = ()
    serve: ServePolicy = ServePolicy()
    budget: ReaderBudget = ReaderBudget()
    rewrite: RewritePolicy = RewritePolicy()

    @property
    def user_agent(self) -> str:
        """The tool, its version and the site, so that operators of servers know whom to contact."""
        if self.fetch.user_agent:
            return self.fetch.user_agent
        contact = _ascii_url(self.site_url or "")
        return f"imgcache/{__version__}" + (f" (+{contact})" if contact else "")


def _ascii_url(url: str) -> str:
    """Returns a URL in ASCII, as a header field needs it, or "" if it is invalid."""
    if "://" not in url:
        return ""
    if url.isascii() and url.isprintable():
        return url
    try:
        return request_url(url).rstrip("/")
    except ImageError:
        return ""
