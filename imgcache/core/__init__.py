"""Values and functions that all packages share: errors, models, formats, recipes, findings, URLs, units and files.

Nothing here imports another package of imgcache.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
