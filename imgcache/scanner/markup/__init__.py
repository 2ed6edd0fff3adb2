"""Image references in the bodies of articles, Markdown and HTML: read, and replaced by others. Pure.

A look at the text says whether it can name an image at all. The parsers are loaded for the first one that can: they
take longer to load than a site with nothing new takes to be looked through.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from imgcache.core import Edit, Reference

_HTML_IMAGE = re.compile(r"<(?:[iI][mM][gG]|[sS][oO][uU][rR][cC][eE])[ \t\n\f\r/]")

_CALLED = "imgcache"  # the name of what `imgcache export` writes


def references(text: str, article: str, *, first_line: int, html: bool) -> tuple[Reference, ...]:
    """Every image of a body, in the order of the file; nothing is declared.

    `field` is `body`, or `shortcode` where a call of our own include, partial or shortcode names it.

    URLs have entities and backslashes undone and are otherwise untouched. Those that hold Liquid, Jinja or Go templates
    are left out: they are no URLs yet. The `width` and `height` of `<img>` are its size on the page, not the file's.

    Args:
        text: the article below its front matter.
        article: its path relative to the site.
        first_line: the line of the file at which `text` starts.
        html: whether the file is HTML rather than Markdown.
    """
    if (html or "![" not in text) and not _HTML_IMAGE.search(text) and _CALLED not in text:
        return ()
    from imgcache.scanner.markup import bodies

    return bodies.references(text, article, first_line=first_line, html=html)


def called(text: str, article: str) -> tuple[Reference, ...]:
    """Every image that a layout, an include or a partial names in a call of our own; `field` is `shortcode`.

    Args:
        text: the whole file.
        article: its path relative to the site.
    """
    if _CALLED not in text:
        return ()
    from imgcache.scanner.markup import bodies

    return bodies.called(text, article)


def apply(text: str, article: str, edits: Iterable[Edit], *, first_line: int, html: bool) -> str:
    """Write other URLs into a body.

    For `![alt][label]` the definition is edited, and every link with that label leads to the new URL too.

    Args:
        text: the article below its front matter.
        article: its path relative to the site.
        edits: each names its image by the line and column of the URL, as `references` gave them.
        first_line: the line of the file at which `text` starts.
        html: whether the file is HTML rather than Markdown.

    Raises:
        ArticleChanged: an edit names a place where its image is not.
        ArticleUnreadable: the edit cannot be made without changing something else.
    """
    from imgcache.scanner.markup import edits as editing

    return editing.apply(text, article, edits, first_line=first_line, html=html)
