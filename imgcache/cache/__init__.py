"""Keeps images and everything that is known about them.

`store/` holds originals and variants under the SHA-256 of the original, in a folder or in an object store. `index/`
holds the records by URL, `catalogue/` the relations between articles and images, both in SQLite. `lock.py` lets one
writer in at a time, `quarantine.py` keeps replacements that a person has to decide about.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
