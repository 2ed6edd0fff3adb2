"""Makes text safe for terminals and for the logs of build servers: nothing in it acts as a command.

Two kinds of text act. Control characters and the marks that change the direction of writing act on terminals. Commands
act on build servers: `::name::` at the start of a line (GitHub Actions, "Workflow commands"), and anywhere in a line
`##[name]` (its older form), `##vso[name]` (Azure Pipelines, "Logging commands") and `##teamcity[name]` (TeamCity,
"Service messages"). A carriage return also starts a line there; here it counts as a control character.
"""

from __future__ import annotations

import re

# Control characters except tab and line feed; invisible characters, line ends, marks of direction; surrogates.
_ACTING = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
_CONTROL = re.compile(f"[{_ACTING}]")
# What imgcache prints itself: colours (ECMA-48, 8.3.117), and links to files (OSC 8).
_STYLE = r"\x1b\[[0-9;]*m|\x1b\]8;;(?:file://[!-~]*)?\x1b\\"
_CONTROL_OR_STYLE = re.compile(f"({_STYLE})|[{_ACTING}]")
_ANYWHERE = re.compile(r"#(?=#\w*\[)")
_AT_LINE_START = re.compile(r"^([^\S\n]*+):(?=:)", re.MULTILINE)
_REPLACEMENT = "\ufffd"


def has_commands(text: str) -> bool:
    """Whether a terminal or a build server would take something in the text for a command."""
    return bool(_ANYWHERE.search(text) or _AT_LINE_START.search(text) or _CONTROL.search(text.replace("\r\n", "\n")))


def safe_text(text: str, *, styled: bool = False) -> str:
    """Returns text for a terminal or a log. What would act becomes U+FFFD, so that a reader sees that it was there.

    Args:
        text: one or more lines.
        styled: keep the colours and the links to files that imgcache prints on a terminal.
    """
    if text.isascii() and text.isprintable() and "##" not in text and "::" not in text:  # most lines
        return text
    acting = _CONTROL_OR_STYLE if styled else _CONTROL
    return without_commands(acting.sub(lambda found: found[1] if styled and found[1] else _REPLACEMENT, text))


def without_commands(text: str) -> str:
    """Returns the text with the first character of each build server command replaced by U+FFFD."""
    return _AT_LINE_START.sub(rf"\1{_REPLACEMENT}", without_bracketed(text))


def without_bracketed(text: str) -> str:
    """Returns the text without the commands that work anywhere in a line; those of GitHub Actions stay."""
    return _ANYWHERE.sub(_REPLACEMENT, text)


def safe_json(text: str) -> str:
    """Returns JSON of the same value, where what would act is written as an escape (RFC 8259, section 7)."""
    text = _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return _ANYWHERE.sub(r"\\u0023", text)


def safe_xml(text: str) -> str:
    """Returns XML or HTML of the same text, where what would act is a character reference (XML 1.0, section 4.1)."""
    return _AT_LINE_START.sub(r"\1&#58;", _ANYWHERE.sub("&#35;", text))
