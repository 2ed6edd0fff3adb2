"""Finds the image references of a site in front matter, Markdown and HTML.

`walk.py` finds the articles, `extract.py` reads one, `pool.py` reads many on all cores. `frontmatter/` and `markup/`
also apply edits and keep every other byte.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
