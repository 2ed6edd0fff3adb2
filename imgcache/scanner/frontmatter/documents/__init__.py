"""Front matter in TOML (between `+++`) and in JSON (`{ … }`): read with positions, and edited by splices of text. Pure.

The values come from tomllib and json; what is kept beside them is where each stands. Each edit is proved by reading
its result again.
"""

from imgcache.scanner.frontmatter.documents.edits import apply
from imgcache.scanner.frontmatter.documents.entries import Text, references, strings
from imgcache.scanner.frontmatter.documents.reading import Document, opens, read

__all__ = ["Document", "Text", "apply", "opens", "read", "references", "strings"]
