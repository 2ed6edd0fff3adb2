"""Checks every image reference of a site, remote and own, and reports what is broken and what to do.

An audit stores no image: it reads the first bytes of each remote image, the files of the site, the flags in the
articles and the cache. `reports/` renders the result, one module for each format.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
