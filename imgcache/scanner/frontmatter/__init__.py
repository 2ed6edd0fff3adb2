"""Reads image references from front matter, and applies edits to it. Pure.

`parse` reads; `outline` and `read` are its two halves. `apply` replaces characters at the marks of the parsed
nodes. YAML is never serialised.
"""

from imgcache.scanner.frontmatter.edits import apply
from imgcache.scanner.frontmatter.fields import DEFAULT, Fields
from imgcache.scanner.frontmatter.fields import EXTENSIONS as IMAGE_EXTENSIONS
from imgcache.scanner.frontmatter.reading import FrontMatter, Outline, outline, parse, read
from imgcache.scanner.frontmatter.texts import MarkupValue
from imgcache.scanner.frontmatter.whole_files import apply_to_file, read_file
from imgcache.scanner.frontmatter.yaml_marks import check_utf8

__all__ = [
    "DEFAULT",
    "IMAGE_EXTENSIONS",
    "Fields",
    "FrontMatter",
    "MarkupValue",
    "Outline",
    "apply",
    "apply_to_file",
    "check_utf8",
    "outline",
    "parse",
    "read",
    "read_file",
]
