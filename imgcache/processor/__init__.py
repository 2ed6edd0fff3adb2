"""What an image is, and what is made of it. Pure: bytes and recipes in, variants out, into one folder.

`probe` reads the header alone; `render` decodes and makes the variants. Both run in the worker processes of
`imgcache.render_pool`, for the decoders are written in C and the bytes come from strangers.
"""

from imgcache.processor.header import probe
from imgcache.processor.render import render

__all__ = ["probe", "render"]
