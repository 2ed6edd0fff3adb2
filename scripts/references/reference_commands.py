"""docs/reference/commands.md, from the commands themselves."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from imgcache import cli

_PARAGRAPHS = re.compile(r"\n\s*\n")


def page() -> str:
    """Returns the page: the options of all commands, and each command."""
    context = click.Context(cli.imgcache, info_name="imgcache")
    common = _common_options()
    lines = ["## Options of all commands", "", *_table(common.values()), ""]
    for name in cli.COMMANDS:
        command = cli.imgcache.get_command(context, name)
        assert command is not None
        lines += _command(command, click.Context(command, info_name=name, parent=context), common)
    return "\n".join(lines).rstrip() + "\n"


def _common_options() -> dict[str, click.Option]:
    """The options that `imgcache status` has beside its own are those of all commands."""
    from imgcache.cli.options import common

    @click.command()
    @common
    def nothing() -> None:
        pass

    return {option.opts[0]: option for option in nothing.params if isinstance(option, click.Option)}


def _command(command: click.Command, context: click.Context, common: dict[str, click.Option]) -> Iterator[str]:
    is_group = isinstance(command, click.Group)
    depth = "##" if context.parent is None or context.parent.parent is None else "###"
    yield from (f"{depth} {context.command_path}", "")
    if not is_group:
        usage = " ".join(command.collect_usage_pieces(context))
        yield from ("```text", f"{context.command_path} {usage}", "```", "")
    yield from _help(command.help or "")
    yield from _help(command.epilog or "")
    own = [p for p in command.get_params(context) if isinstance(p, click.Option) and p.opts[0] not in common]
    own = [option for option in own if "--help" not in option.opts and not option.hidden]
    if own:
        yield from (*_table(own), "")
    if is_group:
        for name in command.list_commands(context):
            part = command.get_command(context, name)
            assert part is not None
            yield from _command(part, click.Context(part, info_name=name, parent=context), common)


def _help(text: str) -> Iterator[str]:
    for paragraph in _PARAGRAPHS.split(inspect.cleandoc(text)):
        if paragraph.startswith("\b"):
            yield from (
                "```text",
                *(line.strip("\b") for line in paragraph.splitlines() if line.strip("\b")),
                "```",
                "",
            )
        else:
            yield from (_escaped(" ".join(paragraph.split())), "")


def _table(options: object) -> Iterator[str]:
    yield from ("| option | default | what it does |", "|---|---|---|")
    for option in options:  # type: ignore[attr-defined]
        names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
        value = "" if option.is_flag else f" `{_value(option)}`"
        yield f"| {names}{value} | {_default(option)} | {_escaped(_what(option)).replace('|', '&#124;')} |"


def _value(option: click.Option) -> str:
    kind = option.type
    shown = "|".join(kind.choices) if isinstance(kind, click.Choice) else option.make_metavar(click.Context(_NOTHING))
    return shown.replace("|", "\\|")


_NOTHING = click.Command("nothing")


def _what(option: click.Option) -> str:
    parts = [option.help or {"--log-format": "The format of what goes to standard error."}.get(option.opts[0], "")]
    if isinstance(option.type, click.IntRange):
        parts.append(f"From {option.type.min} to {option.type.max}.")
    return " ".join(filter(None, parts))


def _default(option: click.Option) -> str:
    if option.is_flag or option.default in (None, "") or not option.show_default or option.multiple:
        return ""
    return f"`{option.default}`"


def _escaped(text: str) -> str:
    """Placeholders in angle brackets are no HTML."""
    return re.sub(r"(?<!`)<(\w+)>(?!`)", r"`<\1>`", text)
