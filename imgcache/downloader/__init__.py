"""Fetches images from other servers, politely and safely.

`client.py` answers one question, from the URL to the response that counts, with retries, redirects and robots.txt.
`fetch.py` saves a whole image, `probe.py` reads no more than its header. `http/` holds the transport and its guard,
`headers/` reads the size of an image from its first bytes.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
