"""Front matter: article bytes to image references, and article bytes with edits to bytes. Pure.

`parse` reads, or `outline` and then `read` for the two halves of it; `apply` writes by splicing bytes at the marks that
the reading gives. YAML is never written back.
"""

from imgcache.scanner.frontmatter.edits import apply
from imgcache.scanner.frontmatter.reading import FrontMatter, Outline, outline, parse, read
from imgcache.scanner.frontmatter.yaml_marks import check_utf8

__all__ = ["FrontMatter", "Outline", "apply", "check_utf8", "outline", "parse", "read"]
