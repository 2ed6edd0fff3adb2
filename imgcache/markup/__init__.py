"""Image references in the bodies of articles, Markdown and HTML: read, and replaced by others. Pure."""

from imgcache.markup.edits import apply
from imgcache.markup.markdown import references

__all__ = ["apply", "references"]
