"""imgcache: the remote images of an article site, fetched once, checked, resized and flagged.

In Python: `imgcache.sync(site)`, `imgcache.audit(site)`, `imgcache.Manifest.open(cache)`. Names are loaded when they
are first used, so that `import imgcache` loads neither Pillow nor an HTTP client.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
