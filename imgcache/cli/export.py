"""`imgcache export`: gives the cached images to the site's build, or to a web server."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from imgcache.cli.exit_codes import EXIT_PROBLEMS
from imgcache.cli.options import common, examples, logger, open_workspace, site_argument
from imgcache.cli.output import print_line
from imgcache.core import ConfigError, plural
from imgcache.manifest import read_document
from imgcache.publisher import picture_data, placement
from imgcache.publisher.export import web_servers
from imgcache.wiring import folder_with, open_manifest

_Decorator = Callable[[Callable[..., None]], Callable[..., None]]
_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group(
    short_help="Give the cached images to the site's build, or to a web server.",
    epilog=examples("imgcache export jekyll"),
)
def export() -> None:
    """Write what a site's build needs to show the cached images, or the configuration of a web server."""


def _with(*options: _Decorator) -> _Decorator:
    """Add options to a command, in this order in its help."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        return reduce(lambda decorated, option: option(decorated), reversed(options), command)

    return decorate


_build_options = _with(
    site_argument,
    click.option(
        "--assets-url",
        default=picture_data.DEFAULT_ASSETS_URL,
        show_default=True,
        metavar="URL",
        help="Where the files are published: a path of the site, or an address.",
    ),
    click.option(
        "--copy-to",
        type=_FOLDER,
        metavar="DIR",
        help="Copy the files that pages need here, and remove those of earlier runs that no page needs.",
    ),
    click.option("--output", type=_FOLDER, metavar="DIR", help="The generator's source folder; default: SITE."),
    click.option("--force", is_flag=True, help="Replace files of these names that imgcache did not write."),
    common,
)
_web_server_options = _with(
    site_argument,
    click.option(
        "--upstream",
        default=web_servers.DEFAULT_UPSTREAM,
        show_default=True,
        metavar="URL",
        help="The address of `imgcache serve`.",
    ),
    click.option(
        "--server-name", "names", multiple=True, metavar="NAME", help="The name of the site's host; repeatable."
    ),
    click.option(
        "--listen", default="80", show_default=True, metavar="[ADDRESS:]PORT", help="Where the web server listens."
    ),
    click.option("--output", type=_FILE, metavar="FILE", help="Write the configuration there instead of printing it."),
    click.option("--force", is_flag=True, help="Replace a FILE that imgcache did not write."),
    common,
)


@export.command(
    short_help="A data file and an include, with no plugin: GitHub Pages too.",
    epilog=examples("imgcache export jekyll --copy-to assets/imgcache"),
)
@_build_options
def jekyll(**options: Any) -> None:
    """Write _data/imgcache.json and _includes/imgcache.html, which turns a URL into a <picture>.

    This needs no plugin, so that it works on GitHub Pages. Exit status: 1 where a file of the cache is missing.
    """
    _build("jekyll", options)


@export.command(
    short_help="A data file and a partial.", epilog=examples("imgcache export hugo --copy-to static/assets/imgcache")
)
@_build_options
def hugo(**options: Any) -> None:
    """Write data/imgcache.json and layouts/partials/imgcache.html, which turns a URL into a <picture>.

    Exit status: 1 where a file of the cache is missing.
    """
    _build("hugo", options)


@export.command(
    short_help="A data file and a shortcode.", epilog=examples("imgcache export eleventy --copy-to assets/imgcache")
)
@_build_options
def eleventy(**options: Any) -> None:
    """Write _data/imgcache.json and imgcache.shortcode.cjs, which turns a URL into a <picture>.

    Exit status: 1 where a file of the cache is missing.
    """
    _build("eleventy", options)


@export.command(
    short_help="A configuration that serves assets/ and passes the rest on.",
    epilog=examples("imgcache export nginx --output imgcache.conf"),
)
@_web_server_options
def nginx(**options: Any) -> None:
    """Print a configuration for nginx: it serves assets/ from the folder and passes the rest to the endpoint."""
    _configure("nginx", options)


@export.command(
    short_help="A configuration that serves assets/ and passes the rest on.",
    epilog=examples("imgcache export caddy --output Caddyfile"),
)
@_web_server_options
def caddy(**options: Any) -> None:
    """Print a Caddyfile: Caddy serves assets/ from the folder and passes the rest to the endpoint."""
    _configure("caddy", options)


def _build(target: str, options: Mapping[str, Any]) -> None:
    generator = import_module(f"imgcache.publisher.export.{target}")
    workspace = open_workspace(options["site"], options)
    assets_url = picture_data.check_assets_url(options["assets_url"])
    automatic = {recipe.name for recipe in workspace.config.variants if recipe.format == "auto"}
    manifest = read_document(open_manifest(workspace))
    images = picture_data.held_images(manifest, automatic)
    folder = options["output"] or options["site"]
    files: dict[str, bytes] = generator.files(images, assets_url)
    is_complete = True
    if options["copy_to"]:
        paths = {path for held in images.values() for path in held.paths}
        sizes = {path: size for entry in manifest.values() for path, size in entry.files() if path[7:] in paths}
        with folder_with(workspace, sizes, options["copy_to"]) as cache:
            is_complete = _copy(placement.place_assets(paths, cache, options["copy_to"], force=options["force"]))
    written = placement.write_files(folder, files, force=options["force"])
    for name in files:
        print_line(f"{name}: {'written' if name in written else 'unchanged'}")
    print_line(f"{plural(len(images), 'image')}, published at {assets_url}")
    if not images:
        logger.error("nothing is cached yet; run `imgcache sync` first")
    if written and not options["quiet"]:
        print_line()
        print_line(generator.USAGE.rstrip())
    sys.exit(0 if is_complete else EXIT_PROBLEMS)


def _copy(copied: placement.PlacedFiles) -> bool:
    print_line(f"{plural(copied.placed, 'file')} copied, {copied.kept:,} unchanged, {copied.removed:,} removed")
    for path in copied.missing:
        logger.error("assets/%s is missing; `imgcache verify --repair` brings it back", path)
    return not copied.missing


def _configure(target: str, options: Mapping[str, Any]) -> None:
    workspace = open_workspace(options["site"], options)
    if workspace.bucket_url is not None:
        raise ConfigError(
            "a web server serves a folder, and this cache is an object store: let the web server pass everything to"
            " `imgcache serve`, or use the bucket itself as the origin of assets/",
            where="--cache",
        )
    shows_gallery = workspace.config.serve.gallery == "on"
    server = web_servers.parse_web_server(
        workspace.cache, options["upstream"], options["names"], options["listen"], shows_gallery=shows_gallery
    )
    text: str = import_module(f"imgcache.publisher.export.{target}").configuration(server)
    output: Path | None = options["output"]
    if output is None:
        print_line(text.removesuffix("\n"))
        return
    written = placement.write_files(output.parent, {output.name: text.encode()}, force=options["force"])
    print_line(f"{output.name}: {'written' if written else 'unchanged'}")
