"""Decides which image of a page is loaded first, and which only when a reader comes near. Pure."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from turbohtml import Element

from imgcache.publisher.rewrite.find_in_html import Page
from imgcache.publisher.rewrite.layout import declared_size
from imgcache.publisher.rewrite.tags import Tag

_LARGE = 200  # pixels of width from which an image can be what a reader sees first
_MAIN = "main,[role=main],article"
_AROUND = "header,nav,footer,aside"
_ASIDE = "noscript,template"


class Priority(Enum):
    """When an image is loaded."""

    FIRST = "first"
    EARLY = "early"  # above the first one, or among navigation: as the author has it
    LATE = "late"


class LoadOrder:
    """The order in which the images of one page are loaded.

    Args:
        page: the page.
        width_of: the width of the image of an `<img>` in pixels, None where it is not known.
    """

    def __init__(self, page: Page, width_of: Callable[[Element], int | None]) -> None:
        self._width_of = width_of
        images = page.of("img")
        chosen = next((one for one in images if (one.attr("fetchpriority") or "").strip().lower() == "high"), None)
        self._claimed = chosen is not None
        if chosen is None:
            main = page.tree.select_one(_MAIN)
            inside = images if main is None else [one for one in images if _is_within(one, main)]
            chosen = next((one for one in inside if self._is_large(one, page, around=main is None)), None)
        location = chosen.source_location if chosen is not None else None
        self._first = location.start_tag.start_offset if location else -1

    def priority(self, tag: Tag) -> Priority:
        """Returns when the image of a tag is loaded."""
        if tag.start == self._first:
            return Priority.EARLY if self._claimed else Priority.FIRST
        if tag.start < self._first:
            return Priority.EARLY
        if self._first < 0 and tag.element.closest(_AROUND) is not None:
            return Priority.EARLY
        return Priority.LATE

    def _is_large(self, image: Element, page: Page, *, around: bool) -> bool:
        if image.closest(_ASIDE) is not None or (around and image.closest(_AROUND) is not None):
            return False
        if image.source_location is None:
            return False
        width = declared_size(Tag(image, page.source))[0] or self._width_of(image)
        return width is None or width >= _LARGE


def _is_within(element: Element, main: Element) -> bool:
    """Returns whether the closest main content around an element is this one."""
    found = element.closest(_MAIN)
    while found is not None and found is not main and found != main:
        parent = found.parent
        found = parent.closest(_MAIN) if isinstance(parent, Element) else None
    return found is not None
