"""Fetches images from other servers, politely and safely.

`client.py` assembles the HTTP client: retries, redirects, robots.txt, politeness, and a guard at the socket. `fetch.py`
saves whole images, `probe.py` reads only their headers. `http/` holds the layers of the client, `headers/` reads the
size of an image from its first bytes.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
