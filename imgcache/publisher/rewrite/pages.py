"""A whole HTML page rewritten. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from turbohtml import Element

from imgcache.publisher.rewrite import heads, images, layout, offers, selectors, swaps
from imgcache.publisher.rewrite.html import LAZY, Page
from imgcache.publisher.rewrite.offers import File, Held
from imgcache.publisher.rewrite.priority import Order, Turn
from imgcache.publisher.rewrite.splices import Splice
from imgcache.publisher.rewrite.spots import Spot
from imgcache.publisher.rewrite.tags import Tag
from imgcache.publisher.rewrite.values import Form

_INERT = "noscript"
_TYPED = ("href", "data", "src")  # attributes that a `type` beside them speaks of


@dataclass(slots=True)
class Changes:
    """What a rewrite does to one file.

    `touched` are the tags whose attributes or content change. `needs_rule`: the page needs the rule of `layout`.
    """

    splices: list[Splice] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    touched: dict[int, Tag] = field(default_factory=dict)
    rewritten: int = 0
    left: int = 0
    missing: set[str] = field(default_factory=set)
    needs_rule: bool = False

    def leave(self, spot: Spot) -> None:
        """Notes one place as left."""
        self.left += 1
        self.missing.add(spot.url)

    def add(self, spot: Spot, splices: list[Splice], files: Iterable[File]) -> None:
        """Notes one place as rewritten, or as left where there is nothing to change."""
        if not splices:
            self.leave(spot)
            return
        self.splices += splices
        self.files.update(file.path for file in files)
        self.rewritten += 1
        if spot.tag is not None:
            self.touched[spot.tag.start] = spot.tag


class Writer:
    """The rewrite of one page.

    Args:
        page: the page.
        held: the images that are held, by address.
        simple: whether to replace addresses only, for a page on which more would change its structure.
    """

    def __init__(self, page: Page, held: Mapping[str, Held], *, simple: bool = False) -> None:
        self._page = page
        self._held = held
        self._changes = Changes()
        self._simple = simple or page.place.abroad or layout.is_amp(page)
        self._styles = page.place.options.styles and layout.allows_styles(page)
        self._responsive: dict[str, Tag] = {}
        self._order: Order | None = None
        self._by_start: dict[int, str] = {}
        self._structural: tuple[str, ...] | None = None
        self._has_foreign_sheet = False

    def changes(self) -> Changes:
        """All that has to be done."""
        groups: dict[tuple[int, str], list[Spot]] = {}
        for spot in self._page.spots():
            start = spot.tag.start if spot.tag else -1
            if spot.form is Form.IMAGE:
                self._by_start[start] = spot.url
            groups.setdefault((start, spot.attribute), []).append(spot)
        preloads = []
        for spots in groups.values():
            first = spots[0]
            if first.form is Form.PRELOAD:
                preloads.append(first)
            elif first.tag is not None and first.form is Form.IMAGE:
                self._image(first, first.tag, alone=_is_alone(first.tag))
            elif first.form is Form.CANDIDATE and first.tag is not None and first.declared:
                self._typed(spots, first.tag)
            else:
                for spot in spots:
                    self._swap(spot)
        for spot in preloads:
            self._preload(spot)
        self._open_graph()
        return self._changes

    def _image(self, spot: Spot, tag: Tag, *, alone: bool) -> None:
        image = self._held.get(spot.url)
        if image is None or not spot.place.local("x"):
            self._changes.leave(spot)
        elif self._simple or not alone:
            self._swap(spot)
            if (
                not self._simple
                and tag.element.tag == "img"
                and not tag.any_of(LAZY)
                and not tag.element.closest(_INERT)
            ):
                self._changes.splices += images.timed(tag, self._turn(tag))
        else:
            done = images.responsive(spot, tag, image, self._turn(tag), styles=self._styles, may_wrap=self._may_wrap)
            self._changes.add(spot, done.changes, done.files)
            self._changes.needs_rule |= done.marked
            self._responsive.setdefault(spot.url, tag)

    def _may_wrap(self, tag: Tag) -> bool:
        """Whether every rule of the style sheets matches as before with a `<picture>` around the `<img>`."""
        if self._structural is None:
            sheets = [style.text for style in self._page.of("style") if style.attr(layout.MARK) is None]
            options = self._page.place.options
            inner = [selector for sheet in sheets for selector in selectors.structural(sheet, options.site_url)]
            self._structural = (*options.structural, *inner)
            self._has_foreign_sheet = any(_is_foreign_sheet(link, options.site_url) for link in self._page.of("link"))
        return not self._has_foreign_sheet and not selectors.match(tag.element, self._structural)

    def _turn(self, tag: Tag) -> Turn:
        if self._order is None:
            self._order = Order(self._page, self._width)
        return self._order.turn(tag)

    def _width(self, element: Element) -> int | None:
        location = element.source_location
        image = self._held.get(self._by_start.get(location.start_tag.start_offset, "")) if location else None
        return image.width if image else None

    def _swap(self, spot: Spot) -> None:
        image = self._held.get(spot.url)
        if image is None:
            self._changes.leave(spot)
            return
        file = swaps.file_for(spot, image)
        splices = swaps.swap(spot, file)
        typed = spot.tag is not None and spot.declared and spot.attribute in _TYPED
        if splices and spot.tag is not None and typed and spot.declared != file.media_type:
            splices.append(spot.tag.put("type", file.media_type))
        self._changes.add(spot, splices, [file])

    def _typed(self, spots: list[Spot], tag: Tag) -> None:
        """A srcset beside a `type`, which holds for all of its candidates: all of them are replaced, or none."""
        found = [self._held.get(spot.url) for spot in spots]
        known = [image for image in found if image is not None]
        files = [offers.exact(image, spots[0].declared) for image in known]
        if len({file.media_type for file in files}) > 1:
            files = [offers.exact(image) for image in known]
        kinds = {file.media_type for file in files}
        if len(known) < len(spots) or len(kinds) > 1:
            for spot in spots:
                self._changes.leave(spot)
            return
        for spot, file in zip(spots, files, strict=True):
            self._changes.add(spot, swaps.swap(spot, file), [file])
        if spots[0].declared not in kinds and tag.start in self._changes.touched:
            self._changes.splices.append(tag.put("type", kinds.pop()))

    def _preload(self, spot: Spot) -> None:
        """A preload asks for what the image will ask for: else the browser fetches both."""
        image = self._held.get(spot.url)
        tag = spot.tag
        shown = self._responsive.get(spot.url)
        if image is None or tag is None or shown is None or tag.has("imagesrcset") or not spot.place.local("x"):
            self._swap(spot)
            return
        splices, files = images.preload(spot, tag, shown, image, styles=self._styles, may_wrap=self._may_wrap)
        self._changes.add(spot, splices, files)

    def _open_graph(self) -> None:
        """The size and type that stand beside an Open Graph image follow it."""
        touched = self._changes.touched
        if not any(tag.element.tag == "meta" for tag in touched.values()):
            return
        tags = [Tag(meta, self._page.source) for meta in self._page.of("meta")]
        seen: set[int] = set()
        for start, beside in heads.sizes_beside(tags).items():
            image = self._held.get(self._shared_url(start))
            if start not in touched or image is None:
                continue
            file = offers.shared(image)
            values = {"width": str(file.width), "height": str(file.height), "media_type": file.media_type}
            for name, tag in beside.items():
                if tag.start not in seen and tag.get("content") != values[name]:
                    self._changes.splices.append(tag.put("content", values[name]))
                    self._changes.touched[tag.start] = tag
                seen.add(tag.start)

    def _shared_url(self, start: int) -> str:
        tag = self._changes.touched.get(start)
        if tag is None:
            return ""
        return next((spot.url for spot in self._page.address(tag, "content", Form.SHARED)), "")


def _is_foreign_sheet(link: Element, site_url: str) -> bool:
    """Returns whether a link leads to a style sheet whose rules are not known."""
    is_sheet = "stylesheet" in (link.attr("rel") or "").lower().split()
    return is_sheet and selectors.is_foreign(link.attr("href") or "", site_url)


def _is_alone(tag: Tag) -> bool:
    """Whether nothing but `src` says what an `<img>` shows."""
    parent = tag.element.parent
    return (
        not tag.has("srcset")
        and not (isinstance(parent, Element) and parent.tag == "picture")
        and not tag.any_of(LAZY)
        and tag.element.tag == "img"
        and tag.element.closest(_INERT) is None
    )
