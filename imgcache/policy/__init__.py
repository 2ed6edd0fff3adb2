"""Makes decisions without input or output: the next step for an image, when to ask again, what a flag should be."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
