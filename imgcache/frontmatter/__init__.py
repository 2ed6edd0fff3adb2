"""Front matter: article bytes to image references, and article bytes with edits to bytes. Pure.

`parse` reads, `apply` writes by splicing bytes at the marks that the reading gives; YAML is never written back.
"""

from imgcache.frontmatter.splices import FrontMatter, apply, parse

__all__ = ["FrontMatter", "apply", "parse"]
