"""Reads image references from the bodies of articles, Markdown and HTML, and replaces their URLs. Pure.

A quick search decides whether a text can name an image at all. The parsers are loaded for the first text that can:
loading them takes longer than scanning a site without changes.
"""

from __future__ import annotations

from collections.abc import Iterable

from imgcache.core import Edit, Reference
from imgcache.scanner.markup.quick import marks
from imgcache.scanner.markup.syntax import CALLED, Syntax, is_html

__all__ = ["Syntax", "apply", "called", "is_html", "references"]

_ANY = Syntax()


def references(text: str, article: str, *, first_line: int, html: bool, syntax: Syntax = _ANY) -> tuple[Reference, ...]:
    """Return every image of a body, in the order of the file, without declared sizes.

    `field` is `body`, or `shortcode` for an image in a call of an include, partial or shortcode.

    Entities and backslash escapes in URLs are decoded. URLs with Liquid, Jinja or Go templates are left out: they are
    not URLs yet. The `width` and `height` of `<img>` are its size on the page, not that of the file.

    Args:
        text: the article below its front matter.
        article: its path relative to the site.
        first_line: the line of the file on which `text` starts.
        html: whether the file is HTML rather than Markdown.
        syntax: how the generator of the site reads bodies.
    """
    is_jsx = not html and syntax.is_jsx(article) and "<" in text
    found = marks(text, html=html, languages=syntax.calls)
    if not (found.images or found.calls or is_jsx):
        return ()
    from imgcache.scanner.markup import bodies

    return bodies.references(text, article, first_line=first_line, html=html, syntax=syntax, found=found)


def called(text: str, article: str) -> tuple[Reference, ...]:
    """Return every image that a template names in a call of imgcache's own; `field` is `shortcode`.

    Args:
        text: the whole file.
        article: its path relative to the site.
    """
    if CALLED not in text:
        return ()
    from imgcache.scanner.markup import bodies

    return bodies.called(text, article)


def apply(text: str, article: str, edits: Iterable[Edit], *, first_line: int, html: bool, syntax: Syntax = _ANY) -> str:
    """Replace URLs of images in a body.

    For `![alt][label]` the definition is edited, so every link with that label gets the new URL too.

    Args:
        text: the article below its front matter.
        article: its path relative to the site.
        edits: each names its image by the line and column of the URL, as `references` returned them.
        first_line: the line of the file on which `text` starts.
        html: whether the file is HTML rather than Markdown.
        syntax: how the generator of the site reads bodies.

    Raises:
        ArticleChanged: the image of an edit is not at its place.
        ArticleUnreadable: the edit would change something else.
    """
    from imgcache.scanner.markup import edits as editing

    return editing.apply(text, article, edits, first_line=first_line, html=html, syntax=syntax)
