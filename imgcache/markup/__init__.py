"""Image references in the bodies of articles, Markdown and HTML. Pure."""

from imgcache.markup.markdown import references

__all__ = ["references"]
