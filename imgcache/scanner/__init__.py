"""Finds the image references of a site: in front matter, in Markdown and in HTML.

`walk.py` finds the articles, `extract.py` reads one, `pool.py` reads many on all cores. `frontmatter/` and `markup/`
also write edits back, and change nothing else by a byte.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
