"""Reads image references from front matter, and applies edits to it. Pure.

`parse` reads; `outline` and `read` are its two halves. `apply` replaces characters at the marks of the parsed
nodes. YAML is never serialised.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
