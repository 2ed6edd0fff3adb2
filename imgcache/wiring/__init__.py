"""Builds the parts of a command from its configuration. It is the only package that knows every class.

Its modules import one another only where a command needs it: an audit loads nothing of what a sync is made of.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
