"""Writes manifest.json and the `isCached` flags of articles.

An article is replaced as a whole by rename, and only if it is still the one that was read.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
