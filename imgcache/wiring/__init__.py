"""Builds the parts of a command from its configuration. It is the only package that knows every class.

Modules are imported where they are needed: an audit does not load what only a sync uses.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
