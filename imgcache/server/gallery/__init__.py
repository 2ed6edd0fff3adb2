"""The gallery: HTML pages with every image of a cache and its problems, for the person who runs the site."""

from imgcache.server.gallery.pages import POLICY, Gallery

__all__ = ["POLICY", "Gallery"]
