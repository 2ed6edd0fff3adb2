"""The gallery: for the person who runs the site, every image with what is wrong with it, as pages of plain HTML."""

from imgcache.server.gallery.pages import POLICY, Gallery

__all__ = ["POLICY", "Gallery"]
