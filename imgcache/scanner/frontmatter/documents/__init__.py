"""Reads front matter other than YAML with positions, and edits it by splices of text. Pure.

That is TOML (between `+++`), JSON (`{ … }`) and the metadata of Python-Markdown (lines `Key: value`).

The values come from tomllib and json; the position of each value is kept beside it. Each edit is verified by reading
its result again.
"""

from imgcache.scanner.frontmatter.documents.edits import apply
from imgcache.scanner.frontmatter.documents.entries import StringValue, references, strings
from imgcache.scanner.frontmatter.documents.reading import Document, may_be_document, read, read_file

__all__ = ["Document", "StringValue", "apply", "may_be_document", "read", "read_file", "references", "strings"]
