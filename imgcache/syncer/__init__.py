"""Runs a sync: scan, fetch, check, render, record, and set the flags. Maintains the cache: verify, gc, forget."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
