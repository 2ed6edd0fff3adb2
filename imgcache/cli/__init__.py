"""The command line: one file a command, which parses options, builds, runs, prints, and sets the exit status.

The file of a command is imported when it runs, so that `imgcache --help` answers at once.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

import click

from imgcache.cli.exit_codes import EXIT_BUSY, EXIT_INTERRUPTED, EXIT_PROBLEMS, EXIT_USAGE
from imgcache.core import CacheBusy, ImgcacheError
from imgcache.core.version import __version__

COMMANDS = {
    "sync": "Fetch, check, resize and flag every remote image of a site.",
    "audit": "List what is broken, where, since when, and what to do.",
    "watch": "Audit each article whenever it is saved.",
    "status": "Show what is cached, missing and failing, and how large it is.",
    "show": "Show the record of one image and where it is used.",
    "verify": "Compare blobs, records and flags; --repair repairs them.",
    "rewrite": "Make built pages load local images, after any generator's build.",
    "scan": "List every image reference of a site, and what was not understood.",
    "quarantine": "Decide on pictures that changed in a doubtful way.",
    "gc": "Remove images that no article uses any more.",
    "forget": "Remove an image from cache, flags and manifest, and never fetch it again.",
    "export": "Give the cached images to the site's build, or to a web server.",
    "serve": "Serve the cached images over HTTP, with a gallery for people.",
    "init": "Write a commented imgcache.yml.",
    "completion": "Print the script that completes commands in a shell.",
}

_LOG_FORMAT = "imgcache.log_format"  # in click's `meta`


class _Commands(click.Group):
    def main(self, *args: Any, **options: Any) -> Any:
        """Run with streams that let no text act on a terminal or a build server."""
        from imgcache.cli.streams import guarded

        with guarded():
            return super().main(*args, **options)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f"imgcache.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command. Logging is set up first, so that errors from here on have its format."""
        from imgcache.cli.options import log_format_of, start_logging

        ctx.meta[_LOG_FORMAT] = log_format_of(args)
        start_logging({"log_format": ctx.meta[_LOG_FORMAT]})
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"No such command '{args[0]}'.{_suggestion(args[0])}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command. An ImgcacheError ends in one line and an exit status."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _fail(ctx, "interrupted; what was finished is kept", EXIT_INTERRUPTED)
        except ImgcacheError as error:
            _fail(ctx, str(error), EXIT_BUSY if isinstance(error, CacheBusy) else EXIT_USAGE)
        except click.ClickException as error:
            if ctx.meta.get(_LOG_FORMAT) != "json":
                raise  # click shows the usage beside it
            _fail(ctx, error.format_message(), error.exit_code)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _suggestion(word: str) -> str:
    """Returns what a mistyped command may have meant, as a further sentence."""
    from difflib import get_close_matches
    from pathlib import Path

    similar = get_close_matches(word, COMMANDS, n=3)
    if similar:
        return f" Did you mean {' or '.join(similar)}?"
    return f" To sync this site: imgcache sync {word}" if Path(word).exists() else ""


def _fail(ctx: click.Context, message: str, status: int) -> NoReturn:
    logger = logging.getLogger("imgcache")
    if logger.handlers:
        logger.error("%s", message)
    else:  # interrupted while the modules of the log were loaded, which cannot be repeated
        click.echo(f"imgcache: {message}", err=True)
    ctx.exit(status)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExamples:\n  imgcache sync --dry-run\n  imgcache sync && imgcache rewrite _site",
)
@click.version_option(__version__, prog_name="imgcache", message="%(prog)s %(version)s")
def imgcache() -> None:
    """Keep the remote images of an article site: fetched once, checked, resized, flagged.

    SITE is a folder of Markdown articles, the current one by default. Start with `imgcache sync --dry-run`.
    """


def main() -> None:
    """Run the command line. No error ends in a traceback, except in the log with -v.

    SIGTERM ends a command as Ctrl-C does: it cleans up and reports that it was interrupted.
    """
    _ensure_utf_8()
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(_run())


def _run() -> int:
    """Run the command. Returns the exit status."""
    from imgcache.cli.streams import OutputFailed
    from imgcache.cli.unforeseen import describe, trace

    try:
        imgcache()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else EXIT_PROBLEMS if ended.code else 0
    except OutputFailed as error:
        return _give_up(f"standard output cannot be written: {error}; what was done is kept")
    except KeyboardInterrupt:
        _give_up("interrupted; what was finished is kept")
        return EXIT_INTERRUPTED
    except BaseException as error:  # noqa: BLE001 (the last place that can report it)
        return _give_up(describe(error), trace(error))
    return 0


def _give_up(message: str, trace: str = "") -> int:
    from imgcache.cli.streams import OutputFailed, guarded

    try:
        from imgcache.cli.options import logger, start_logging
    except (ImportError, MemoryError):  # not even these modules can be loaded
        sys.stderr.write(f"imgcache: {message}\n")
        return EXIT_PROBLEMS
    with suppress(OutputFailed), guarded():
        if not logger.handlers:
            start_logging({})
        for handler in logger.handlers:  # that of the command may have a stream that is closed
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(sys.stderr)
        logger.error("%s", message)
        if trace:
            logger.debug("%s", trace)
    return EXIT_PROBLEMS


def _ensure_utf_8() -> None:
    """Start again in UTF-8 mode where the locale has another encoding (PEP 540).

    Otherwise file names could not be printed. Articles are in UTF-8 whatever the locale is.
    """
    if sys.getfilesystemencoding() == "utf-8" or os.environ.get("PYTHONUTF8") == "1":
        return
    os.environ["PYTHONUTF8"] = "1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 (this very program)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
