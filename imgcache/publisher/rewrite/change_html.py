"""Computes the changes of a whole HTML page. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from turbohtml import Element

from imgcache.publisher.rewrite import head_elements, images, layout, offers, replace_address, selectors
from imgcache.publisher.rewrite.find_in_html import LAZY, Page
from imgcache.publisher.rewrite.offers import File, Held
from imgcache.publisher.rewrite.priority import LoadOrder, Priority
from imgcache.publisher.rewrite.references import ImageReference
from imgcache.publisher.rewrite.splices import Splice
from imgcache.publisher.rewrite.tags import Tag
from imgcache.publisher.rewrite.values import Form

_INERT = "noscript"
_TYPED = ("href", "data", "src")  # attributes whose file a `type` beside them describes


@dataclass(slots=True)
class Changes:
    """What a rewrite changes in one file.

    Attributes:
        splices: the changes.
        files: the paths of the files that the new bytes refer to.
        touched: the tags whose attributes or content change, by position.
        rewritten: the number of places that are local now.
        left: the number of places that are still remote.
        missing: the addresses of those.
        needs_rule: whether the page needs the rule of `layout`.
    """

    splices: list[Splice] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    touched: dict[int, Tag] = field(default_factory=dict)
    rewritten: int = 0
    left: int = 0
    missing: set[str] = field(default_factory=set)
    needs_rule: bool = False

    def leave(self, reference: ImageReference) -> None:
        """Counts a reference that stays as it is."""
        self.left += 1
        self.missing.add(reference.url)

    def add(self, reference: ImageReference, splices: list[Splice], files: Iterable[File]) -> None:
        """Counts a reference that changes; one without changes stays as it is."""
        if not splices:
            self.leave(reference)
            return
        self.splices += splices
        self.files.update(file.path for file in files)
        self.rewritten += 1
        if reference.tag is not None:
            self.touched[reference.tag.start] = reference.tag


class Writer:
    """Computes the changes of one page.

    Args:
        page: the page.
        held: the images that are held, by address.
        simple: whether to replace addresses only, for a page whose structure would change otherwise.
    """

    def __init__(self, page: Page, held: Mapping[str, Held], *, simple: bool = False) -> None:
        self._page = page
        self._held = held
        self._changes = Changes()
        self._simple = simple or page.addresses.is_syndicated or layout.is_amp(page)
        self._styles = page.addresses.options.styles and layout.allows_styles(page)
        self._responsive: dict[str, Tag] = {}
        self._order: LoadOrder | None = None
        self._by_start: dict[int, str] = {}
        self._structural: tuple[str, ...] | None = None
        self._has_foreign_sheet = False

    def changes(self) -> Changes:
        """Returns all changes."""
        groups: dict[tuple[int, str], list[ImageReference]] = {}
        for reference in self._page.references():
            start = reference.tag.start if reference.tag else -1
            if reference.form is Form.IMAGE:
                self._by_start[start] = reference.url
            groups.setdefault((start, reference.attribute), []).append(reference)
        preloads = []
        for references in groups.values():
            first = references[0]
            if first.form is Form.PRELOAD:
                preloads.append(first)
            elif first.tag is not None and first.form is Form.IMAGE:
                self._image(first, first.tag, alone=_is_alone(first.tag))
            elif first.form is Form.CANDIDATE and first.tag is not None and first.declared:
                self._typed(references, first.tag)
            else:
                for reference in references:
                    self._swap(reference)
        for reference in preloads:
            self._preload(reference)
        self._open_graph()
        return self._changes

    def _image(self, reference: ImageReference, tag: Tag, *, alone: bool) -> None:
        image = self._held.get(reference.url)
        if image is None or not reference.addresses.local("x"):
            self._changes.leave(reference)
        elif self._simple or not alone:
            self._swap(reference)
            if (
                not self._simple
                and tag.element.tag == "img"
                and not tag.any_of(LAZY)
                and not tag.element.closest(_INERT)
            ):
                self._changes.splices += images.loading_changes(tag, self._priority(tag))
        else:
            done = images.responsive(
                reference, tag, image, self._priority(tag), styles=self._styles, may_wrap=self._may_wrap
            )
            self._changes.add(reference, done.changes, done.files)
            self._changes.needs_rule |= done.marked
            self._responsive.setdefault(reference.url, tag)

    def _may_wrap(self, tag: Tag) -> bool:
        """Returns whether every rule of the style sheets matches as before with a `<picture>` around the `<img>`."""
        if self._structural is None:
            sheets = [style.text for style in self._page.of("style") if style.attr(layout.MARK) is None]
            options = self._page.addresses.options
            inner = [selector for sheet in sheets for selector in selectors.structural(sheet, options.site_url)]
            self._structural = (*options.structural, *inner)
            self._has_foreign_sheet = any(_is_foreign_sheet(link, options.site_url) for link in self._page.of("link"))
        return not self._has_foreign_sheet and not selectors.match(tag.element, self._structural)

    def _priority(self, tag: Tag) -> Priority:
        if self._order is None:
            self._order = LoadOrder(self._page, self._width)
        return self._order.priority(tag)

    def _width(self, element: Element) -> int | None:
        location = element.source_location
        image = self._held.get(self._by_start.get(location.start_tag.start_offset, "")) if location else None
        return image.width if image else None

    def _swap(self, reference: ImageReference) -> None:
        image = self._held.get(reference.url)
        if image is None:
            self._changes.leave(reference)
            return
        file = replace_address.choose_file(reference, image)
        splices = replace_address.address_changes(reference, file)
        typed = reference.tag is not None and reference.declared and reference.attribute in _TYPED
        if splices and reference.tag is not None and typed and reference.declared != file.media_type:
            splices.append(reference.tag.put("type", file.media_type))
        self._changes.add(reference, splices, [file])

    def _typed(self, references: list[ImageReference], tag: Tag) -> None:
        """Replaces all candidates of a srcset beside a `type`, which applies to all of them, or none."""
        found = [self._held.get(reference.url) for reference in references]
        known = [image for image in found if image is not None]
        files = [offers.exact(image, references[0].declared) for image in known]
        if len({file.media_type for file in files}) > 1:
            files = [offers.exact(image) for image in known]
        kinds = {file.media_type for file in files}
        if len(known) < len(references) or len(kinds) > 1:
            for reference in references:
                self._changes.leave(reference)
            return
        for reference, file in zip(references, files, strict=True):
            self._changes.add(reference, replace_address.address_changes(reference, file), [file])
        if references[0].declared not in kinds and tag.start in self._changes.touched:
            self._changes.splices.append(tag.put("type", kinds.pop()))

    def _preload(self, reference: ImageReference) -> None:
        """Makes a preload request what the image will request: otherwise the browser fetches both."""
        image = self._held.get(reference.url)
        tag = reference.tag
        shown = self._responsive.get(reference.url)
        if (
            image is None
            or tag is None
            or shown is None
            or tag.has("imagesrcset")
            or not reference.addresses.local("x")
        ):
            self._swap(reference)
            return
        splices, files = images.preload(reference, tag, shown, image, styles=self._styles, may_wrap=self._may_wrap)
        self._changes.add(reference, splices, files)

    def _open_graph(self) -> None:
        """Brings the size and type of each Open Graph image in line with its new file."""
        touched = self._changes.touched
        if not any(tag.element.tag == "meta" for tag in touched.values()):
            return
        tags = [Tag(meta, self._page.source) for meta in self._page.of("meta")]
        seen: set[int] = set()
        for start, beside in head_elements.sizes_beside(tags).items():
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
        return next((reference.url for reference in self._page.address(tag, "content", Form.SHARED)), "")


def _is_foreign_sheet(link: Element, site_url: str) -> bool:
    """Returns whether a link leads to a style sheet whose rules are not known."""
    is_sheet = "stylesheet" in (link.attr("rel") or "").lower().split()
    return is_sheet and selectors.is_foreign(link.attr("href") or "", site_url)


def _is_alone(tag: Tag) -> bool:
    """Returns whether nothing but `src` says what an `<img>` shows."""
    parent = tag.element.parent
    return (
        not tag.has("srcset")
        and not (isinstance(parent, Element) and parent.tag == "picture")
        and not tag.any_of(LAZY)
        and tag.element.tag == "img"
        and tag.element.closest(_INERT) is None
    )
