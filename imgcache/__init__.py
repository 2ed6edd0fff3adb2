"""imgcache: the remote images of an article site, fetched once, checked, resized and flagged."""

__version__ = "0.1.0"
