"""Finds out which `<link>` and `<meta>` of a page's head name images. Pure."""

from __future__ import annotations

from imgcache.publisher.rewrite.tags import Tag
from imgcache.publisher.rewrite.values import Form

_ICONS = frozenset(
    {"icon", "apple-touch-icon", "apple-touch-icon-precomposed", "apple-touch-startup-image", "mask-icon", "fluid-icon"}
)
_SHARED = frozenset(
    {
        *("og:image", "og:image:url", "og:image:secure_url", "og:logo", "twitter:image", "twitter:image:src"),
        *("image", "thumbnailurl", "logo", "thumbnail", "image_src"),
    }
)
_FIRST = frozenset({"og:image", "og:image:url", "og:image:secure_url"})
_BESIDE = {"og:image:width": "width", "og:image:height": "height", "og:image:type": "media_type"}


def link_form(tag: Tag) -> Form | None:
    """Returns what the image of a `<link>` is for; None if it names none."""
    kinds = set(tag.get("rel").lower().split()) if tag.has("rel") else set()
    if kinds & _ICONS:
        return Form.ICON
    if kinds & {"preload", "prefetch"} and tag.get("as").strip().lower() == "image":
        return Form.PRELOAD
    if "image_src" in kinds or tag.get("itemprop").strip().lower() in _SHARED:
        return Form.SHARED
    return None


def meta_name(tag: Tag) -> str:
    """Returns the name of a property, in lower case, whichever attribute gives it."""
    for name in ("property", "name", "itemprop"):
        value = tag.get(name).strip().lower()
        if value:
            return value
    return ""


def meta_form(tag: Tag) -> Form | None:
    """Returns what the image of a `<meta>` is for; None if it names none."""
    name = meta_name(tag)
    if name in _SHARED:
        return Form.SHARED
    return Form.ICON if name.startswith("msapplication-") and name.endswith(("image", "logo")) else None


def sizes_beside(tags: list[Tag]) -> dict[int, dict[str, Tag]]:
    """Returns the tags that say the size and type of each Open Graph image, by the position of its first tag.

    They count for the image before them (The Open Graph protocol, "Arrays").
    """
    found: dict[int, dict[str, Tag]] = {}
    latest: dict[str, Tag] | None = None
    for tag in tags:
        name = meta_name(tag)
        if name in _FIRST:
            latest = {} if latest is None or name != "og:image:secure_url" else latest
            found[tag.start] = latest
        elif name in _BESIDE and latest is not None:
            latest.setdefault(_BESIDE[name], tag)
    return found
