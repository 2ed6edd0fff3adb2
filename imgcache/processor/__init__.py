"""Decodes images and makes their variants, in worker processes.

`probe` reads a header, and `render` makes the variants of one original. Both run in the workers of `RenderPool`,
because decoders are written in C and their input is not trusted.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
