"""Decides, without any input or output: what to do next for an image, when to ask again, what a flag should say."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
