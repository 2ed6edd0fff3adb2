"""Knows the site generators: which one builds a site, and what follows from its settings.

`detection.py` finds the generator by its files. Each generator has one module, which is loaded when it is found, reads
the settings and gives the `Layout` of the site. Settings are read as data or as text; nothing of a site is ever run.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
