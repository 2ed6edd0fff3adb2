"""`imgcache.Manifest`: which images a cache holds, and the `<picture>` of each, for Python programs."""

from __future__ import annotations

import html
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from imgcache.core import ConfigError, ImgcacheError, redact

if TYPE_CHECKING:
    from imgcache.manifest import ManifestEntry
    from imgcache.publisher.picture_data import HeldImage, ImageFile


class NotHeld(ImgcacheError, KeyError):
    """The cache holds no image of this URL, or none that browsers show."""

    def __str__(self) -> str:  # a KeyError shows its message in quotes
        return str(self.args[0])


class Manifest(Mapping[str, "ManifestEntry"]):
    """The images that a cache holds, by the URL that articles have. Read once, by `open`."""

    def __init__(
        self, entries: Mapping[str, ManifestEntry], pictures: Mapping[str, HeldImage], assets_url: str
    ) -> None:
        self._entries = entries
        self._pictures = pictures
        self._assets_url = assets_url

    @classmethod
    def open(
        cls, cache: str | os.PathLike[str], *, assets_url: str | None = None, auto_variants: Collection[str] = ()
    ) -> Self:
        """Read manifest.json of a cache.

        Args:
            cache: the cache folder, or the URL of an object store.
            assets_url: the address at which `assets/` is published, for `picture`; by default `/assets/imgcache`.
            auto_variants: the names of the variants whose format is `auto`. They tell which images are opaque, beside
                those whose original is a JPEG; only an opaque image gets a placeholder.

        Returns:
            The images; none where nothing was synced yet.

        Raises:
            Error: there is no such cache, manifest.json is damaged, or the address cannot stand in a page.
        """
        from imgcache.config import Config
        from imgcache.manifest import read_document
        from imgcache.publisher.picture_data import DEFAULT_ASSETS_URL, check_assets_url, held_images
        from imgcache.wiring.open_cache import open_manifest
        from imgcache.wiring.workspace import Workspace

        name = os.fspath(cache)
        if "://" in name:
            from imgcache.cache import check_bucket_url

            workspace = Workspace(Path(), Path(), Config(), bucket_url=check_bucket_url(name))
        elif Path(name).is_dir():
            workspace = Workspace(Path(name).parent, Path(name), Config())
        else:
            raise ConfigError("no such folder: `imgcache sync` makes the cache", where=name)
        entries = read_document(open_manifest(workspace))
        url = check_assets_url(assets_url if assets_url is not None else DEFAULT_ASSETS_URL)
        return cls(entries, held_images(entries, auto_variants), url)

    def __getitem__(self, url: str) -> ManifestEntry:
        try:
            return self._entries[url]
        except KeyError:
            raise NotHeld(f"no image of {redact(url, 500)} is held; `imgcache sync` fetches it") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def picture(
        self,
        url: str,
        *,
        alt: str = "",
        sizes: str | None = None,
        loading: Literal["lazy", "eager"] = "lazy",
        class_: str | None = None,
    ) -> str:
        """Write the `<picture>` element of an image, as the exported includes do.

        Args:
            url: the URL that the article has.
            alt: what the image shows; empty for a decoration.
            sizes: how wide it is shown (HTML, section 4.8.4.2.2); by default its own width, at most the window's.
            loading: `eager` for an image that is seen without scrolling.
            class_: the class of the `<img>`.

        Raises:
            NotHeld: the cache holds no image of this URL that browsers show.
        """
        image = self._pictures.get(url)
        if image is None:
            media_type = self[url].media_type
            raise NotHeld(f"no file of {redact(url, 500)} is one that browsers show: it is {media_type}")
        at = f"{self._assets_url}/{image.at}/"
        sizes = sizes or f"(max-width: {image.width}px) 100vw, {image.width}px"
        sources = "".join(
            f"<source {_attributes(type=source.type, sizes=sizes, srcset=_srcset(at, source.files))}>"
            for source in image.sources
        )
        is_choice = len(image.fallback) > 1
        attributes = _attributes(
            src=f"{at}{image.fallback[-1].name}",
            sizes=sizes if is_choice else None,
            srcset=_srcset(at, image.fallback) if is_choice else None,
            width=str(image.width),
            height=str(image.height),
            loading=loading,
            decoding="async",
            class_=class_,
            style=_background(image),
            alt=alt,
        )
        return f"<picture>{sources}<img {attributes}></picture>"


def _srcset(at: str, files: Iterable[ImageFile]) -> str:
    return ", ".join(f"{at}{file.name} {file.width}w" for file in files)


def _background(image: HeldImage) -> str | None:
    """The placeholder that shows until the image is loaded."""
    if image.color is None:
        return None
    return f"background:{image.color} url('{image.placeholder}') center/cover no-repeat"


def _attributes(**values: str | None) -> str:
    return " ".join(f'{name.rstrip("_")}="{html.escape(value)}"' for name, value in values.items() if value is not None)
