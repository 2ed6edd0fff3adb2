"""What an image is, and what is made of it. Pure: bytes and recipes in, variants out.

`probe` reads the header alone; `render` decodes and makes the variants, into one folder; `probe_bytes` and `make` do
the same with a file in memory. All run in the worker processes of
`imgcache.render_pool`, for the decoders are written in C and the bytes come from strangers.
"""

from imgcache.processor.header import probe, probe_bytes
from imgcache.processor.render import make, render

__all__ = ["make", "probe", "probe_bytes", "render"]
