"""An `<img>` that names one remote image becomes one that offers the browser a choice of local files. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from imgcache.publisher.rewrite import layout, offers
from imgcache.publisher.rewrite.addresses import Place
from imgcache.publisher.rewrite.offers import File, Held
from imgcache.publisher.rewrite.priority import Turn
from imgcache.publisher.rewrite.splices import Splice
from imgcache.publisher.rewrite.spots import Spot
from imgcache.publisher.rewrite.tags import Tag

_BACKGROUND = re.compile(r"background", re.IGNORECASE)
_END_TAG = re.compile(r"[ \t\n\f\r]*</img[ \t\n\f\r]*>", re.IGNORECASE)


class Responsive(NamedTuple):
    """The changes that one image needs, the files that it then asks for, and whether it needs the rule of `layout`."""

    changes: list[Splice]
    files: list[File]
    marked: bool


def responsive(
    spot: Spot, tag: Tag, image: Held, turn: Turn, *, styles: bool, may_wrap: Callable[[Tag], bool]
) -> Responsive:
    """What makes an image responsive.

    What the author wrote stays: `loading`, `sizes`, `decoding`, `width` and all others.

    Args:
        spot: its `src`.
        tag: its `<img>`.
        image: what is held.
        turn: when it is loaded.
        styles: whether inline styles work on this page.
        may_wrap: whether a `<picture>` may stand around an `<img>`.
    """
    place = spot.place
    sources, files = _offered(tag, image, place, styles=styles, may_wrap=may_wrap)
    chosen = any(_is_choice(one, image) for one in (files, *sources))
    attributes, style = layout.fixed(tag, image) if styles else ([], "")
    loading = _loading(tag, turn)
    lazy = tag.get("loading").strip().lower() == "lazy" or ("loading", "lazy") in loading
    sizes = tag.get("sizes") or _sizes(tag, image, lazy=lazy, styles=styles)
    new: list[tuple[str, str]] = []
    if _is_choice(files, image):
        new.append(("srcset", _srcset(files, image, place)))
    if chosen and not tag.has("sizes"):
        new.append(("sizes", sizes))
    new += attributes
    new += loading
    declarations = ";".join(
        part for part in (style, _behind(tag, image) if styles and place.options.placeholder else "") if part
    )
    if declarations and not tag.has("style"):
        new.append(("style", declarations))
    changes = [spot.source.splice(spot.start, spot.end, place.local(files[-1].path))]
    if new:
        changes.append(tag.add(new))
    if declarations and tag.has("style"):
        changes += tag.append_style(declarations)
    if sources:
        changes += _picture(tag, sources, image, sizes, place)
    shown = [*files, *(file for source in sources for file in source)]
    return Responsive(changes, shown, marked=bool(attributes))


def preload(
    spot: Spot, link: Tag, shown: Tag, image: Held, *, styles: bool, may_wrap: Callable[[Tag], bool]
) -> tuple[list[Splice], list[File]]:
    """The changes that make a `<link rel=preload>` ask for what its image will ask for.

    Args:
        spot: its `href`.
        link: the `<link>`.
        shown: the `<img>` of the same image.
        image: what is held.
        styles: whether inline styles work on this page.
        may_wrap: whether a `<picture>` may stand around an `<img>`.
    """
    sources, files = _offered(shown, image, spot.place, styles=styles, may_wrap=may_wrap)
    first = sources[0] if sources else files
    changes = [spot.source.splice(spot.start, spot.end, spot.place.local(first[-1].path))]
    if _is_choice(first, image):
        sizes = shown.get("sizes") or _sizes(shown, image, lazy=False, styles=styles)
        changes += [link.put("imagesrcset", _srcset(first, image, spot.place)), link.put("imagesizes", sizes)]
    if sources or link.has("type"):
        changes.append(link.put("type", first[0].media_type))
    return changes, list(first)


def _offered(
    tag: Tag, image: Held, place: Place, *, styles: bool, may_wrap: Callable[[Tag], bool]
) -> tuple[list[tuple[File, ...]], tuple[File, ...]]:
    """What each `<source>` around an `<img>` offers, and what the `<img>` itself does."""
    found = offers.choices(image)
    several = len(found) > 1 and place.options.picture and styles and tag.get("sizes").isascii()
    return (found[:-1] if several and may_wrap(tag) else []), found[-1]


def _loading(tag: Tag, turn: Turn) -> list[tuple[str, str]]:
    new = [] if tag.has("decoding") else [("decoding", "async")]
    if turn is Turn.LATE and not tag.has("loading") and not tag.has("fetchpriority"):
        new.append(("loading", "lazy"))
    elif turn is Turn.FIRST and not tag.has("fetchpriority") and tag.get("loading").strip().lower() != "lazy":
        new.append(("fetchpriority", "high"))
    return new


def timed(tag: Tag, turn: Turn) -> list[Splice]:
    """The changes that tell the browser when to load an image of which the author offers a choice."""
    new = _loading(tag, turn)
    return [tag.add(new)] if new else []


def _sizes(tag: Tag, image: Held, *, lazy: bool, styles: bool) -> str:
    """How wide the image is shown.

    `auto` is for lazy images alone, and for browsers that know it (HTML, section 4.8.4.2.2); others pass it over. It
    needs the true size in the style, and so does a width that depends on the window: without styles the width in
    `sizes` is the size at which the image is shown.
    """
    width = layout.declared_size(tag)[0] or image.width
    if not styles:
        return f"{image.width}px"
    return f"{'auto, ' if lazy else ''}(max-width: {width}px) 100vw, {width}px"


def _is_choice(files: tuple[File, ...], image: Held) -> bool:
    """Whether the file that is shown can be of another size than the true image."""
    return len(files) > 1 or files[0].width != image.width


def _srcset(files: tuple[File, ...], image: Held, place: Place) -> str:
    if not _is_choice(files, image):
        return place.local(files[0].path)
    return ", ".join(f"{place.local(file.path)} {file.width}w" for file in files)


def _behind(tag: Tag, image: Held) -> str:
    """The image's colour and placeholder behind it, inside its padding. The site's own background colour stays."""
    if not image.color or _BACKGROUND.search(tag.get("style")):
        return ""
    layers = f"background-image:url({image.placeholder}),linear-gradient({image.color},{image.color})"
    return f"{layers};background-origin:content-box;background-size:100% 100%;background-repeat:no-repeat"


def _picture(tag: Tag, sources: list[tuple[File, ...]], image: Held, sizes: str, place: Place) -> list[Splice]:
    opening = [f'<picture {layout.MARK}="formats" style="display:contents">']
    for files in sources:
        shown = f' sizes="{_quoted(sizes)}"' if _is_choice(files, image) else ""
        srcset = _srcset(files, image, place)
        # Without `display:none` an empty <source> would be an item of the flex or grid container.
        opening.append(f'<source type="{files[0].media_type}" srcset="{srcset}"{shown} style="display:none"/>')
    end = tag.end
    if closing := _END_TAG.match(tag.source.text, end):
        end = closing.end()
    return [tag.source.splice(tag.start, tag.start, "".join(opening)), tag.source.splice(end, end, "</picture>")]


def _quoted(value: str) -> str:
    return value.replace("&", "&amp;").replace('"', "&quot;")
