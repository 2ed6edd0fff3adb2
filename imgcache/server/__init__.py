"""Serves the cached images over HTTP, read-only: it never downloads and never renders images.

`imgcache.server:app` runs on any ASGI server; `imgcache serve` runs it on uvicorn. `application.py` lists the
environment variables.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
