"""Says in words what is wrong where libyaml rejects a text, and what to do about it. Pure."""

from __future__ import annotations

import re

# What libyaml says (its `problem`, or its `context`), and the mistake that it usually means in front matter.
_MISTAKES = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"while scanning a quoted scalar", "a quoted text is not closed: close the quote, or double one inside it"),
        (r"mapping values are not allowed", "a value has `: ` in it, or a key is indented too far: put it in quotes"),
        (r"did not find expected ',' or '\]'", "a list in brackets is not closed, or a comma is missing in it"),
        (r"did not find expected ',' or '\}'", "a mapping in braces is not closed, or a comma is missing in it"),
        (r"did not find expected key", "the indent is not that of the lines above, or a text follows a closed quote"),
        (r"did not find expected '-' indicator", "this line is neither an item of the list above it nor below its key"),
        (r"could not find expected ':'", "a key has no colon, or a text of several lines is not indented"),
        (r"block sequence entries are not allowed", "a list begins on the line of its key: begin it on the next line"),
        (r"found a tab character|found character '\\t'", "a tab indents this line: use spaces"),
        (
            r"found character that cannot start any token",
            "a special character (quote it) or a tab begins it",
        ),
        (r"found unknown escape character", "a backslash in double quotes means nothing here: double it"),
        (r"found undefined alias", "no `&anchor` above has the name of this `*alias`"),
        (r"did not find expected node content", "a value is missing here, or begins with a special character"),
        (r"did not find expected <document start>", "the text below the last key belongs to no key"),
        (
            r"expected comment or line break",
            "a text follows `|` or `>`",
        ),
        (r"control characters are not allowed", "an invisible control character is in the text: delete it"),
        (r"did not find expected alphabetic or numeric character", "`*` or `&` begins a value: put it in quotes"),
    )
)


def in_words(problem: str) -> str:
    """Return what libyaml says, after the mistake that it usually means where that is known.

    Args:
        problem: `problem` and `context` of the error, joined by a comma.
    """
    words = next((words for pattern, words in _MISTAKES if pattern.search(problem)), None)
    return f"{words} ({problem})" if words else problem
