"""What readers get: the images of a built page, as an audit judges them."""

from __future__ import annotations

import msgspec

from imgcache.core.models import Size


class RemoteUse(msgspec.Struct, frozen=True, gc=False):
    """One place in a built file that names an image on another host.

    Attributes:
        url: absolute, with entities and escapes undone.
        line: counts from 1, as does `column`, which counts characters.
        column: see `line`.
        is_loaded: whether a reader's browser loads it with the page. Feeds, links and Open Graph tags only name it.
    """

    url: str
    line: int
    column: int
    is_loaded: bool = True


class ShownImage(msgspec.Struct, frozen=True, gc=False):
    """One `<img>` of a built page.

    Attributes:
        url: its `src` as the page has it, with entities undone; absolute if it is on another host.
        line: counts from 1, as does `column`, which counts characters.
        column: see `line`.
        has_text: whether it has a text alternative, or is marked as decoration (HTML, section 4.8.4.4).
        has_size: whether browsers can reserve its space before it is loaded.
        shown: its `width` and `height` attributes in CSS pixels, if both are numbers and there is no `srcset`.
        actual: the size of the file in pixels, if the file is in the built folder and `shown` is known.
    """

    url: str
    line: int
    column: int
    has_text: bool
    has_size: bool
    shown: Size | None = None
    actual: Size | None = None


class ReaderPage(msgspec.Struct, frozen=True, gc=False):
    """One file of a built folder. `problem` says why it could not be read."""

    path: str
    remote: tuple[RemoteUse, ...] = ()
    shown: tuple[ShownImage, ...] = ()
    problem: str = ""
