"""Makes an `<img>` of one remote image offer the browser a choice of local files. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from imgcache.publisher.rewrite import layout, offers
from imgcache.publisher.rewrite.addresses import Addresses
from imgcache.publisher.rewrite.offers import File, Held
from imgcache.publisher.rewrite.priority import Priority
from imgcache.publisher.rewrite.references import ImageReference
from imgcache.publisher.rewrite.splices import Splice
from imgcache.publisher.rewrite.tags import Tag

_BACKGROUND = re.compile(r"background", re.IGNORECASE)
_END_TAG = re.compile(r"[ \t\n\f\r]*</img[ \t\n\f\r]*>", re.IGNORECASE)


class Responsive(NamedTuple):
    """The changes that one image needs, the files that it then offers, and whether it needs the rule of `layout`."""

    changes: list[Splice]
    files: list[File]
    marked: bool


def responsive(
    reference: ImageReference,
    tag: Tag,
    image: Held,
    priority: Priority,
    *,
    styles: bool,
    may_wrap: Callable[[Tag], bool],
) -> Responsive:
    """Returns the changes that make an image responsive.

    Attributes that the author wrote stay: `loading`, `sizes`, `decoding`, `width` and all others.

    Args:
        reference: the `src` of the `<img>`.
        tag: the `<img>`.
        image: what is held.
        priority: when it is loaded.
        styles: whether inline styles work on this page.
        may_wrap: whether a `<picture>` may stand around an `<img>`.
    """
    addresses = reference.addresses
    sources, files = _offered(tag, image, addresses, styles=styles, may_wrap=may_wrap)
    chosen = any(_is_choice(one, image) for one in (files, *sources))
    attributes, style = layout.fixed(tag, image) if styles else ([], "")
    loading = _loading(tag, priority)
    lazy = tag.get("loading").strip().lower() == "lazy" or ("loading", "lazy") in loading
    sizes = tag.get("sizes") or _sizes(tag, image, lazy=lazy, styles=styles)
    new: list[tuple[str, str]] = []
    if _is_choice(files, image):
        new.append(("srcset", _srcset(files, image, addresses)))
    if chosen and not tag.has("sizes"):
        new.append(("sizes", sizes))
    new += attributes
    new += loading
    declarations = ";".join(
        part for part in (style, _behind(tag, image) if styles and addresses.options.placeholder else "") if part
    )
    if declarations and not tag.has("style"):
        new.append(("style", declarations))
    changes = [reference.source.splice(reference.start, reference.end, addresses.local(files[-1].path))]
    if new:
        changes.append(tag.add(new))
    if declarations and tag.has("style"):
        changes += tag.append_style(declarations)
    if sources:
        changes += _picture(tag, sources, image, sizes, addresses)
    shown = [*files, *(file for source in sources for file in source)]
    return Responsive(changes, shown, marked=bool(attributes))


def preload(
    reference: ImageReference, link: Tag, shown: Tag, image: Held, *, styles: bool, may_wrap: Callable[[Tag], bool]
) -> tuple[list[Splice], list[File]]:
    """Returns the changes that make a `<link rel=preload>` request what its image will request, and the files.

    Args:
        reference: the `href` of the `<link>`.
        link: the `<link>`.
        shown: the `<img>` of the same image.
        image: what is held.
        styles: whether inline styles work on this page.
        may_wrap: whether a `<picture>` may stand around an `<img>`.
    """
    sources, files = _offered(shown, image, reference.addresses, styles=styles, may_wrap=may_wrap)
    first = sources[0] if sources else files
    changes = [reference.source.splice(reference.start, reference.end, reference.addresses.local(first[-1].path))]
    if _is_choice(first, image):
        sizes = shown.get("sizes") or _sizes(shown, image, lazy=False, styles=styles)
        changes += [link.put("imagesrcset", _srcset(first, image, reference.addresses)), link.put("imagesizes", sizes)]
    if sources or link.has("type"):
        changes.append(link.put("type", first[0].media_type))
    return changes, list(first)


def _offered(
    tag: Tag, image: Held, addresses: Addresses, *, styles: bool, may_wrap: Callable[[Tag], bool]
) -> tuple[list[tuple[File, ...]], tuple[File, ...]]:
    """Returns what each `<source>` around an `<img>` offers, and what the `<img>` itself offers."""
    found = offers.choices(image)
    several = len(found) > 1 and addresses.options.picture and styles and tag.get("sizes").isascii()
    return (found[:-1] if several and may_wrap(tag) else []), found[-1]


def _loading(tag: Tag, priority: Priority) -> list[tuple[str, str]]:
    new = [] if tag.has("decoding") else [("decoding", "async")]
    if priority is Priority.LATE and not tag.has("loading") and not tag.has("fetchpriority"):
        new.append(("loading", "lazy"))
    elif priority is Priority.FIRST and not tag.has("fetchpriority") and tag.get("loading").strip().lower() != "lazy":
        new.append(("fetchpriority", "high"))
    return new


def loading_changes(tag: Tag, priority: Priority) -> list[Splice]:
    """Returns the changes that say when to load an image for which the author offers a choice of files."""
    new = _loading(tag, priority)
    return [tag.add(new)] if new else []


def _sizes(tag: Tag, image: Held, *, lazy: bool, styles: bool) -> str:
    """Returns how wide the image is shown, as the value of `sizes`.

    `auto` is for lazy images, and for browsers that know it (HTML, section 4.8.4.2.2); others ignore it. It
    needs the true size in the style, and so does a width that depends on the window: without styles the width in
    `sizes` is the size at which the image is shown.
    """
    width = layout.declared_size(tag)[0] or image.width
    if not styles:
        return f"{image.width}px"
    return f"{'auto, ' if lazy else ''}(max-width: {width}px) 100vw, {width}px"


def _is_choice(files: tuple[File, ...], image: Held) -> bool:
    """Returns whether the file that is shown can have another size than the image itself."""
    return len(files) > 1 or files[0].width != image.width


def _srcset(files: tuple[File, ...], image: Held, addresses: Addresses) -> str:
    if not _is_choice(files, image):
        return addresses.local(files[0].path)
    return ", ".join(f"{addresses.local(file.path)} {file.width}w" for file in files)


def _behind(tag: Tag, image: Held) -> str:
    """Returns declarations that show colour and placeholder behind the image. The site's own background stays."""
    if not image.color or _BACKGROUND.search(tag.get("style")):
        return ""
    layers = f"background-image:url({image.placeholder}),linear-gradient({image.color},{image.color})"
    return f"{layers};background-origin:content-box;background-size:100% 100%;background-repeat:no-repeat"


def _picture(tag: Tag, sources: list[tuple[File, ...]], image: Held, sizes: str, addresses: Addresses) -> list[Splice]:
    opening = [f'<picture {layout.MARK}="formats" style="display:contents">']
    for files in sources:
        shown = f' sizes="{_quoted(sizes)}"' if _is_choice(files, image) else ""
        srcset = _srcset(files, image, addresses)
        # Without `display:none` an empty <source> would be an item of the flex or grid container.
        opening.append(f'<source type="{files[0].media_type}" srcset="{srcset}"{shown} style="display:none"/>')
    end = tag.end
    if closing := _END_TAG.match(tag.source.text, end):
        end = closing.end()
    return [tag.source.splice(tag.start, tag.start, "".join(opening)), tag.source.splice(end, end, "</picture>")]


def _quoted(value: str) -> str:
    return value.replace("&", "&amp;").replace('"', "&quot;")
