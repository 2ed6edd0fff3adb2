"""How a generator reads articles, as far as generators differ. Pure."""

from __future__ import annotations

import msgspec

LIQUID = "liquid"  # `{% name … %}` of Liquid and Nunjucks
HUGO = "hugo"  # `{{< name … >}}` and `{{% name … %}}`

BODY = "body"  # the field of an image in a body
CALL = "shortcode"  # the field of an image in a call
CALLED = "imgcache"  # the name of what `imgcache export` writes


class Syntax(msgspec.Struct, frozen=True):
    """How articles are read.

    Attributes:
        calls: the template languages in which a body calls includes, shortcodes and the like.
        indented_code: whether lines with four spaces before them are code in Markdown.
        footnotes: whether `[^1]: text` is a footnote rather than the definition of a link.
        jsx: whether Markdown files are MDX. Files that end in `.mdx` always are.
        metadata_lines: whether lines `Key: value` at the top are front matter, without a fence above them.
    """

    calls: tuple[str, ...] = (LIQUID, HUGO)
    indented_code: bool = True
    footnotes: bool = False
    jsx: bool = False
    metadata_lines: bool = False

    def is_jsx(self, article: str) -> bool:
        """Return whether an article is MDX, by its path."""
        return article.endswith(".mdx") or (self.jsx and article.endswith((".md", ".markdown")))


def is_html(article: str) -> bool:
    """Return whether the body of an article is HTML rather than Markdown, by its path."""
    return article.endswith((".html", ".htm", ".njk", ".liquid", ".hbs"))
