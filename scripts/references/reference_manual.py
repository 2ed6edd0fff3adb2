"""docs/man/: the manual pages of all commands, from the texts of their `--help`, by click-man."""

from __future__ import annotations

from collections.abc import Iterator

import click
from click_man.core import generate_man_page

from imgcache.cli import COMMANDS, imgcache
from imgcache.core.version import __version__


def pages() -> dict[str, str]:
    """Returns the text of each manual page by the name of its file."""
    root = click.Context(imgcache, info_name="imgcache")
    commands = {name: command for name in COMMANDS if (command := imgcache.get_command(root, name)) is not None}
    whole = click.Group(
        "imgcache",
        short_help="keep the remote images of an article site",
        help=imgcache.help,
        epilog=imgcache.epilog,
        params=imgcache.params,
        commands=commands,
    )
    return dict(_pages(whole, click.Context(whole, info_name="imgcache")))


def _pages(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    yield f"{context.command_path.replace(' ', '-')}.1", _page(command, context)
    for name, inner in command.commands.items() if isinstance(command, click.Group) else ():
        yield from _pages(inner, click.Context(inner, info_name=name, parent=context))


def _page(command: click.Command, context: click.Context) -> str:
    """Returns one page. Its header has no date, so that it changes only with its command."""
    page = generate_man_page(context, version=__version__, date=" ").replace("\b\n", "")
    examples = (command.epilog or "").removeprefix("\b\nExamples:\n").replace("\\", "\\e").replace("-", "\\-")
    return f"{page}.SH EXAMPLES\n.nf\n{examples}\n.fi\n" if examples else page
