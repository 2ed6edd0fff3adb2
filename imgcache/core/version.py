"""The version of imgcache, which every package may name."""

__version__ = "0.1.0"
