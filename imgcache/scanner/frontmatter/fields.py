"""Decides which values of front matter and data files name images: the setting `fields`. Pure.

An image is an absolute or protocol-relative URL with the extension of an image in its path, or under a key that names
an image; or a path to a file of the site with such an extension under such a key. Lists of fields replace this guess.
"""

from __future__ import annotations

import enum
import fnmatch
import functools
import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

AUTO, NONE = "auto", "none"

IMAGE_EXTENSIONS = "apng|avif|bmp|gif|ico|jfif|jpe?g|jxl|png|svg|tiff?|webp"
# RFC 3986, section 3: an authority, then a path. Spaces are accepted before the extension, since browsers encode them.
_ADDRESS = re.compile(r"(?:https?:)?//[^\s/?#\\<>\"'{}]+(?:[/?#][^\s<>\"{}]*+)?", re.IGNORECASE)
_ADDRESS_WITH_SPACES = re.compile(
    rf"(?:https?:)?//[^\s/?#\\<>\"'{{}}]+/(?:[^\r\n\t<>\"{{}}?#:]|:(?!//))*\.(?:{IMAGE_EXTENSIONS})", re.IGNORECASE
)
_IMAGE_PATH = re.compile(rf"(?>[^?#]*?[^/?#]/)[^?#]*?\.(?:{IMAGE_EXTENSIONS})(?![\w.-])", re.IGNORECASE)
_OWN_PATH = re.compile(
    rf"(?![a-z][a-z0-9+.-]*:|//)[^\r\n\t<>\"{{}}|?#]+\.(?:{IMAGE_EXTENSIONS})(?:[?#]\S*)?", re.IGNORECASE
)
_INLINE = re.compile(r"data:image/", re.IGNORECASE)
_MARKUP = re.compile(r"!\[|<(?:img|source|picture|video)[\s/]", re.IGNORECASE)

# The words for an image, as the last word of a key: `heroImage`, `overlay_image`, `og-image`.
_WORDS = frozenset(
    [
        "avatar",
        "background",
        "banner",
        "cover",
        "favicon",
        "figure",
        "gallery",
        "headshot",
        "hero",
        "icon",
        "illustration",
        "image",
        "img",
        "logo",
        "mugshot",
        "photo",
        "pic",
        "picture",
        "portrait",
        "poster",
        "screencap",
        "screenshot",
        "splash",
        "teaser",
        "thumb",
        "thumbnail",
        "wallpaper",
    ]
)
# These also end a key that does not mark where its words begin: `headimg`, `mastimage`.
_ENDINGS = ("image", "images", "img", "imgs", "thumbnail", "thumbnails", "photo", "photos", "picture", "pictures")
# A key may end in what kind of address it has, or in which of several images it is: `image_path`, `logo-dark`.
_GENERIC = frozenset(["file", "filename", "href", "path", "source", "src", "uri", "url"])
_WHICH = frozenset(
    [
        "big",
        "dark",
        "default",
        "desktop",
        "full",
        "hd",
        "large",
        "lg",
        "light",
        "main",
        "md",
        "medium",
        "mobile",
        "original",
        "retina",
        "sm",
        "small",
        "square",
        "tablet",
        "wide",
        "xl",
    ]
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+")
_MAX_KEYS = 4096  # judgements of keys that are remembered; a site has some hundred keys
MAX_NAME = 100  # characters of one key in the path of a field, which every nested list repeats
_MAX_VALUE = 16_384  # characters of a URL, as in `core.urls`

_INDEXES = re.compile(r"\[\d*\]")


class Verdict(enum.Enum):
    """What one string is. GUESSED may turn out to be no image."""

    NOTHING = 0
    GUESSED = 1
    CERTAIN = 2
    TEXT = 3  # Markdown or HTML with images in it


class Keys(NamedTuple):
    """The keys of one entry: of its URL, and of the size that it declares."""

    url: str = "url"
    width: str = "width"
    height: str = "height"


class Fields:
    """The setting `fields`, ready to judge values."""

    def __init__(self, setting: str | Sequence[str], *, metadata_lines: bool = False) -> None:
        """Take the setting.

        Args:
            setting: `auto`, `none`, or paths of keys such as `cover.image`, `gallery[].url`, `header.*`.
            metadata_lines: whether lines `Key: value` at the top of an article are front matter too.
        """
        self.metadata_lines = metadata_lines
        self.setting = setting if isinstance(setting, str) else tuple(setting)
        self.guesses = setting == AUTO
        self._patterns = () if isinstance(setting, str) else tuple(_INDEXES.sub("", one) for one in setting)
        self.reads_nothing = not self.guesses and not self._patterns  # but lists named `images`

    @property
    def why_unread(self) -> str:
        """Why an address in front matter or in a data file is not read, by a setting other than `auto`."""
        if self.reads_nothing:
            return "`fields` is none, so that only lists named `images` are read"
        return "`fields` does not name its field"

    @property
    def top_keys(self) -> list[str]:
        """The first key of each path that the user has listed; it may contain `*`."""
        return [pattern.partition(".")[0] for pattern in self._patterns]

    def judge(self, field: str, value: str) -> Verdict:
        """Return what a string is.

        Args:
            field: the path of its keys without indexes, joined by dots.
            value: the string.
        """
        if self.guesses:
            return _guess(field, value)
        if not self._patterns or not value:
            return Verdict.NOTHING
        for pattern in self._patterns:
            if matches(pattern, field):
                return _listed(value, is_exact=not pattern.endswith("*"))
        return Verdict.NOTHING

    def images_in(self, field: str, strings: Mapping[str, str]) -> dict[str, Verdict]:
        """Return which strings of a mapping are images beside the lists named `images`.

        Args:
            field: the path of the mapping.
            strings: by key.
        """
        named: dict[str, tuple[str, Verdict]] = {}
        for key, text in strings.items():
            name = key[:MAX_NAME]
            verdict = self.judge(f"{field}.{name}" if field else name, text)
            if verdict in {Verdict.CERTAIN, Verdict.GUESSED}:
                named[key] = (text, verdict)
        return without_links(named) if len(named) > 1 else {key: verdict for key, (_, verdict) in named.items()}

    def may_name(self, key: str) -> bool:
        """Return whether a URL without an extension may be an image under this key; True needs a closer look."""
        return names_image(key) or key in _GENERIC if self.guesses else not self.reads_nothing


def matches(pattern: str, field: str) -> bool:
    """Return whether a path of keys is the one that a pattern names; `*` stands for one key, or a part of one.

    A pattern may also name a list whose entries have a `url`.
    """
    wanted, given = pattern.split("."), field.split(".")
    if len(given) == len(wanted) + 1 and given[-1] == "url":
        given.pop()
    return len(wanted) == len(given) and all(map(fnmatch.fnmatchcase, given, wanted))


@functools.lru_cache(maxsize=_MAX_KEYS)
def names_image(key: str) -> bool:
    """Return whether a key names an image: snake, kebab or camel case, alone or as the end of a longer key."""
    if len(key) > MAX_NAME:
        return False
    words = [word.lower() for word in _WORD.findall(key)]
    while words and (words[-1].isdigit() or words[-1] in _WHICH or _singular(words[-1]) in _GENERIC):
        words.pop()
    return bool(words) and (_singular(words[-1]) in _WORDS or words[-1].endswith(_ENDINGS))


def _singular(word: str) -> str:
    return "gallery" if word == "galleries" else word.removesuffix("s")


@functools.lru_cache(maxsize=_MAX_KEYS)
def _stands_under_image(field: str) -> bool:
    """Return whether the last key of a path names an image, or the one above it where the last is as `url`."""
    above, _, key = field.rpartition(".")
    if names_image(key):
        return True
    return _singular(key.lower()) in _GENERIC and bool(above) and names_image(above.rpartition(".")[2])


def _guess(field: str, value: str) -> Verdict:
    if "/" not in value and "." not in value:
        return Verdict.NOTHING
    if has_markup(value):
        return Verdict.TEXT
    text = value.strip()
    if len(text) > _MAX_VALUE:
        return Verdict.GUESSED if _INLINE.match(text) and _stands_under_image(field) else Verdict.NOTHING
    if "//" in text and is_address(text):
        is_image = has_image_path(text) or _stands_under_image(field)
    elif _OWN_PATH.fullmatch(text) or _INLINE.match(text):
        is_image = _stands_under_image(field)
    else:
        is_image = False
    return Verdict.GUESSED if is_image else Verdict.NOTHING


def _listed(value: str, *, is_exact: bool) -> Verdict:
    """Return what a string is whose field the user has listed; below a `*` it must look like an image or an address."""
    if has_markup(value):
        return Verdict.TEXT
    text = value.strip()
    if not text or not (is_exact or is_address(text) or _OWN_PATH.fullmatch(text)):
        return Verdict.NOTHING
    return Verdict.CERTAIN


def has_markup(value: str) -> bool:
    """Return whether a text may be Markdown or HTML with images."""
    return ("![" in value or "<" in value) and bool(_MARKUP.search(value))


def is_address(text: str) -> bool:
    """Return whether a text is an absolute http or protocol-relative URL, and nothing else."""
    return bool(_ADDRESS.fullmatch(text) or _ADDRESS_WITH_SPACES.fullmatch(text))


def has_image_path(url: str) -> bool:
    """Return whether the path of an absolute URL has the extension of an image."""
    return bool(_IMAGE_PATH.match(url, url.find("//") + 2))


def without_links(named: dict[str, tuple[str, Verdict]]) -> dict[str, Verdict]:
    """Return the images of a mapping without links to pages: not the `url` of a page beside an `image_path`.

    Args:
        named: by key, the string and what it was judged to be.
    """
    has_key = any(map(names_image, named))
    return {
        key: verdict
        for key, (text, verdict) in named.items()
        if not has_key or verdict is not Verdict.GUESSED or names_image(key) or has_image_path(text)
    }


def first_of(names: Sequence[str]) -> str:
    """Return which key of a mapping its `isCached`, `width` and `height` are about, of those that name its images."""
    return "url" if "url" in names else names[0] if names else ""


def size_keys(url_key: str, keys: Collection[str], *, is_first: bool) -> Keys:
    """Return the keys that declare the size of an image.

    Args:
        url_key: the key of its URL.
        keys: all keys of the mapping.
        is_first: whether the plain keys `width` and `height` are about this image, and `image_width` is.
    """
    return Keys(url_key, *(_size_key(url_key, side, keys, is_first=is_first) for side in ("width", "height")))


def _size_key(url_key: str, side: str, keys: Collection[str], *, is_first: bool) -> str:
    for key in _size_names(url_key, side):
        if key in keys:
            return key
    if is_first:
        for key in (side, f"image_{side}", f"image{side.title()}", f"image-{side}"):
            if key in keys:
                return key
        return side
    return f"{url_key}_{side}"


@functools.lru_cache(maxsize=_MAX_KEYS)
def _size_names(url_key: str, side: str) -> tuple[str, ...]:
    ends = ("_url", "-url", "Url", "URL", "_path", "-path", "Path", "_src", "-src", "Src")
    stems = [url_key, *(url_key.removesuffix(end) for end in ends if url_key.endswith(end) and url_key != end)]
    return tuple(f"{stem}{end}" for stem in stems for end in (f"_{side}", f"-{side}", side.title()))


DEFAULT = Fields(AUTO)
