"""Text for terminals and for the logs of build servers, with nothing in it that either would act on. Pure.

Two kinds of text act. Control characters and the marks that change the direction of writing act on terminals. Commands
act on build servers: `::name::` at the start of a line (GitHub Actions, "Workflow commands"), and anywhere in a line
`##[name]` (its older form), `##vso[name]` (Azure Pipelines, "Logging commands") and `##teamcity[name]` (TeamCity,
"Service messages"). A carriage return starts a line there too, and is a control character here.
"""

from __future__ import annotations

import re

# Control characters but tab and line feed; what is invisible, ends a line or turns the direction; halves of a pair.
_ACTING = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
_CONTROL = re.compile(f"[{_ACTING}]")
# What this program sends itself: colours (ECMA-48, 8.3.117), and links to files (OSC 8).
_STYLE = r"\x1b\[[0-9;]*m|\x1b\]8;;(?:file://[!-~]*)?\x1b\\"
_CONTROL_OR_STYLE = re.compile(f"({_STYLE})|[{_ACTING}]")
_ANYWHERE = re.compile(r"#(?=#\w*\[)")
_AT_LINE_START = re.compile(r"^([^\S\n]*+):(?=:)", re.MULTILINE)
_STAND_IN = "\ufffd"


def acts(text: str) -> bool:
    """Whether a terminal would act on it, or a build server take a line for a command."""
    return bool(_ANYWHERE.search(text) or _AT_LINE_START.search(text) or _CONTROL.search(text.replace("\r\n", "\n")))


def plain(text: str, *, styled: bool = False) -> str:
    """Text for a terminal or a log. What acts becomes U+FFFD, so that a reader sees that something was there.

    Args:
        text: lines; each is judged by itself.
        styled: let through the colours and the links to files that this program sends to a terminal.
    """
    if text.isascii() and text.isprintable() and "##" not in text and "::" not in text:  # most lines
        return text
    acting = _CONTROL_OR_STYLE if styled else _CONTROL
    return without_commands(acting.sub(lambda found: found[1] if styled and found[1] else _STAND_IN, text))


def without_commands(text: str) -> str:
    """The same text, the first character of each command to a build server replaced by U+FFFD."""
    return _AT_LINE_START.sub(rf"\1{_STAND_IN}", without_bracketed(text))


def without_bracketed(text: str) -> str:
    """The same text without the commands that may stand anywhere in a line; those of GitHub Actions stay."""
    return _ANYWHERE.sub(_STAND_IN, text)


def json(text: str) -> str:
    """The same JSON: what acts is written as an escape (RFC 8259, section 7), and reads back as it was."""
    text = _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return _ANYWHERE.sub(r"\\u0023", text)


def xml(text: str) -> str:
    """The same XML or HTML: what acts is a reference (XML 1.0, section 4.1), and reads back as it was."""
    return _AT_LINE_START.sub(r"\1&#58;", _ANYWHERE.sub("&#35;", text))
