"""One place that names a remote image, as the finders hand it to the writers. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from imgcache.publisher.rewrite.addresses import Place
from imgcache.publisher.rewrite.sources import Source
from imgcache.publisher.rewrite.tags import Tag
from imgcache.publisher.rewrite.values import Form


@dataclass(frozen=True, slots=True)
class Beside:
    """What is said of an image beside its address and has to follow it, by the positions of each value."""

    width: tuple[int, int] | None = None
    height: tuple[int, int] | None = None
    media_type: tuple[int, int] | None = None
    bytes: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Spot:
    """An address by its positions in `source`, where it is relative to, and what is around it.

    `declared` is the media type that stands beside it, empty if none does.
    """

    url: str
    form: Form
    source: Source
    start: int
    end: int
    place: Place
    tag: Tag | None = None
    attribute: str = ""
    declared: str = ""
    beside: Beside = field(default_factory=Beside)
