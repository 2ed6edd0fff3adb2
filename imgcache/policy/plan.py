"""What is to be done for one image, and whether it is what its articles say. Pure: the clock is passed in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum

import msgspec

from imgcache.core import (
    Asset,
    Copy,
    Declared,
    Dimensions,
    Edit,
    Place,
    Problem,
    Recipe,
    Reference,
    Severity,
    Size,
    UnsupportedFormat,
)

# Two shapes are the same if their ratios of width to height differ by no more than this.
SHAPE_TOLERANCE = 0.02


class Step(StrEnum):
    """The next thing to do for one URL."""

    REUSE = "reuse"
    RENDER = "render"
    REVALIDATE = "revalidate"
    FETCH = "fetch"
    REST = "rest"  # dead or gone: not asked this time


class SyncPolicy(msgspec.Struct, frozen=True):
    """What this run was asked for. `recipes` are the fingerprints of all `variants`."""

    recipes: tuple[str, ...] = ()
    refresh: bool = False
    refresh_after: float = 30 * 86_400.0
    offline: bool = False
    variants: tuple[Recipe, ...] = ()

    @classmethod
    def for_variants(cls, variants: Sequence[Recipe]) -> SyncPolicy:
        """All of these, and nothing else that a run can be asked for."""
        return cls(fingerprints(variants), variants=tuple(variants))

    @property
    def crops(self) -> bool:
        """Whether a focal point makes a difference."""
        return any(recipe.crops for recipe in self.variants)

    def aimed(self, focus: tuple[float, float] | None) -> SyncPolicy:
        """What is wished for a picture whose articles give this focal point: where a recipe crops, it says where."""
        if focus is None or not self.crops:
            return self
        variants = tuple(
            msgspec.structs.replace(recipe, focus=focus, position="center") if recipe.crops else recipe
            for recipe in self.variants
        )
        return msgspec.structs.replace(self, recipes=fingerprints(variants), variants=variants)


def next_step(copy: Copy | None, asset: Asset | None, missing: Collection[str], wish: SyncPolicy, now: float) -> Step:
    """The next step for one URL.

    Args:
        copy: what is recorded of the URL.
        asset: the asset that the copy names.
        missing: the files of the asset that are not on disk in full length.
        wish: what this run was asked for.
        now: seconds since the epoch.
    """
    if copy is None or asset is None or asset.original in missing:
        return Step.FETCH
    if not wish.offline and (wish.refresh or is_due(copy, wish.refresh_after, now)):
        return Step.REVALIDATE
    if missing or asset.recipes != wish.recipes:
        return Step.RENDER
    return Step.REUSE


def is_complete(asset: Asset, missing: Collection[str], wish: SyncPolicy) -> bool:
    """Whether an image counts as cached: its original and every variant that is wished are on disk; more may be.

    Of a record that was made from manifest.json no recipe is known: its variants are taken for those that are wished.
    """
    is_rebuilt = bool(asset.variants) and not asset.recipes
    return not missing and (is_rebuilt or set(wish.recipes) <= set(asset.recipes))


def needs_network(copy: Copy | None, asset: Asset | None, missing: Collection[str]) -> bool:
    """Whether nothing can be done for a URL without asking its server."""
    return next_step(copy, asset, missing, SyncPolicy(offline=True), 0.0) is Step.FETCH


def is_due(copy: Copy, refresh_after: float, now: float) -> bool:
    """Whether the server is to be asked again. A clock that was set back makes nothing due and nothing eternal."""
    age = now - copy.checked_at
    return age >= refresh_after or age < -86_400.0


def misread_focus(url: str, place: Place) -> Problem:
    """The word for a focal point that is none. The image is cached all the same."""
    message = (
        "`focus` is not two numbers from 0 to 1, so the crops are laid as the variants say:"
        " write how far from the left and from the top, such as focus: [0.3, 0.6]"
    )
    return Problem("focus", url, message, severity=Severity.WARNING, references=(place,))


def fingerprints(recipes: Iterable[Recipe]) -> tuple[str, ...]:
    """The fingerprints of a list of recipes: what `Asset.recipes` is compared with."""
    return tuple(recipe.fingerprint for recipe in recipes)


class SizeMatch(StrEnum):
    """How a true size stands to a declared one."""

    EXACT = "exact"
    SCALED = "scaled"  # another size, and no other shape: passes, with a warning
    OTHER = "other"  # another shape: a problem


def compare_size(declared: Declared, true: Size) -> SizeMatch:
    """Compare what an article declares with what the image is. What is not declared is not compared."""
    if declared.width in (None, true.width) and declared.height in (None, true.height):
        return SizeMatch.EXACT
    if declared.width is None or declared.height is None:
        return SizeMatch.SCALED
    ratio = (declared.width * true.height) / (declared.height * true.width)
    return SizeMatch.SCALED if abs(ratio - 1.0) <= SHAPE_TOLERANCE else SizeMatch.OTHER


def describe_mismatch(declared: Declared, true: Size) -> str:
    """The words for a reference whose declared size is not the true one."""
    width, height = declared.width or "?", declared.height or "?"
    shape = "the same shape" if compare_size(declared, true) is SizeMatch.SCALED else "another shape"
    return (
        f"declared {width}×{height}, the image is {true}: {shape};"
        f" write width {true.width} and height {true.height}, or let --dimensions fix do it"
    )


class FlagDecision(msgspec.Struct, frozen=True):
    """What one reference asks for: a change to its entry, a word to its author, both or neither."""

    edit: Edit | None = None
    severity: Severity | None = None  # of a `dimensions` problem


def decide_flag(
    reference: Reference, *, held: bool, true: Size | None, dimensions: Dimensions, may_clear: bool
) -> FlagDecision:
    """Hold one reference against the truth.

    Args:
        reference: with its flag and its declared size.
        held: whether the image is on disk in full.
        true: its displayed size, None if that is not known.
        dimensions: the setting of the site.
        may_clear: whether a flag may be taken away (not while the network is down).
    """
    shape = SizeMatch.EXACT if true is None else compare_size(reference.declared, true)
    fix = true if dimensions == Dimensions.FIX and shape is not SizeMatch.EXACT else None
    wanted = held and (shape is not SizeMatch.OTHER or dimensions != Dimensions.CHECK)
    flag = None
    if reference.flaggable and wanted != bool(reference.is_cached) and (wanted or may_clear):
        flag = wanted
    severity = None
    if dimensions == Dimensions.CHECK and shape is not SizeMatch.EXACT:
        severity = Severity.ERROR if shape is SizeMatch.OTHER else Severity.WARNING
    edit = Edit(reference.line, reference.column, flag, fix) if flag is not None or fix is not None else None
    return FlagDecision(edit, severity)


def own_severity(code: str) -> Severity:
    """How bad it is that something is wrong with a file of the site. One that only browsers can read is no error."""
    return Severity.NOTE if code == UnsupportedFormat.code else Severity.ERROR
