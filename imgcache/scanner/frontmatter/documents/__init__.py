"""Reads front matter in TOML (between `+++`) and JSON (`{ … }`) with positions, and edits it by splices of text. Pure.

The values come from tomllib and json; the position of each value is kept beside it. Each edit is verified by reading
its result again.
"""

from imgcache.scanner.frontmatter.documents.edits import apply
from imgcache.scanner.frontmatter.documents.entries import Text, references, strings
from imgcache.scanner.frontmatter.documents.reading import Document, opens, read

__all__ = ["Document", "Text", "apply", "opens", "read", "references", "strings"]
