"""Serves the cached images over HTTP, read-only: it never fetches and never renders.

`imgcache.server:app` runs on any ASGI server; `imgcache serve` runs it on uvicorn. `application.py` says what the
environment may set.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
