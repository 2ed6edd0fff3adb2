"""`imgcache completion`: prints the script that completes commands and options in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from imgcache.cli.output import print_line
from imgcache.core import ConfigError

_VARIABLE = "_IMGCACHE_COMPLETE"  # as click derives it from the name of the program
_SETUP = """\
Load it at the start of each shell:

\b
  bash  echo 'eval "$(imgcache completion bash)"' >> ~/.bashrc
  zsh   echo 'eval "$(imgcache completion zsh)"' >> ~/.zshrc
  fish  imgcache completion fish > ~/.config/fish/completions/imgcache.fish
"""


@click.command(short_help="Print the script that completes commands in a shell.", epilog=_SETUP)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands, options and their values in SHELL. Bash needs version 4.4."""
    found = get_completion_class(shell)
    if found is None:
        raise ConfigError(f"the installed version of click has no completion for {shell}")
    context = click.get_current_context().find_root()
    print_line(found(context.command, {}, "imgcache", _VARIABLE).source().rstrip())
