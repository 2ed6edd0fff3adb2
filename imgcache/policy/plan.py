"""Decides the next step for an image, and what the flag and size in an article should be. Pure: time is passed in."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum

import msgspec

from imgcache.core import (
    Asset,
    Copy,
    Declared,
    Dimensions,
    Edit,
    MissingFile,
    NotAnImage,
    Place,
    Problem,
    Recipe,
    Reference,
    Severity,
    Size,
    UnsupportedFormat,
)

# Two sizes have the same shape if their ratios of width to height differ by no more than this.
SHAPE_TOLERANCE = 0.02
DATA_FIELD = "data"  # of references in data files, whose sizes and URLs are never rewritten


class Step(StrEnum):
    """The next step for one URL."""

    REUSE = "reuse"
    RENDER = "render"
    REVALIDATE = "revalidate"
    FETCH = "fetch"
    REST = "rest"  # dead or gone: no request this time


class SyncPolicy(msgspec.Struct, frozen=True):
    """The settings of a run. `recipes` are the fingerprints of all `variants`; `refresh_after` is in seconds."""

    recipes: tuple[str, ...] = ()
    refresh: bool = False
    refresh_after: float = 30 * 86_400.0
    offline: bool = False
    variants: tuple[Recipe, ...] = ()

    @classmethod
    def for_variants(cls, variants: Sequence[Recipe]) -> SyncPolicy:
        """Return the policy with these variants and defaults for everything else."""
        return cls(fingerprints(variants), variants=tuple(variants))

    @property
    def crops(self) -> bool:
        """Whether a focal point changes any variant."""
        return any(recipe.crops for recipe in self.variants)

    def for_focus(self, focus: tuple[float, float] | None) -> SyncPolicy:
        """Return the policy for an image with this focal point: recipes that crop use it."""
        return self if focus is None or not self.crops else _aim(self, focus)


@functools.lru_cache(maxsize=64)  # each step of a job needs it; the jobs under way at the same time fit
def _aim(policy: SyncPolicy, focus: tuple[float, float]) -> SyncPolicy:
    variants = tuple(
        msgspec.structs.replace(recipe, focus=focus, position="center") if recipe.crops else recipe
        for recipe in policy.variants
    )
    return msgspec.structs.replace(policy, recipes=fingerprints(variants), variants=variants)


def next_step(copy: Copy | None, asset: Asset | None, missing: Collection[str], policy: SyncPolicy, now: float) -> Step:
    """Return the next step for one URL.

    Args:
        copy: the record of the URL.
        asset: the asset of the copy.
        missing: the files of the asset that are not complete on disk.
        policy: the settings of the run.
        now: seconds since the epoch.
    """
    if copy is None or asset is None or asset.original in missing:
        return Step.FETCH
    if not policy.offline and (policy.refresh or is_due(copy, policy.refresh_after, now)):
        return Step.REVALIDATE
    if missing or asset.recipes != policy.recipes:
        return Step.RENDER
    return Step.REUSE


def is_complete(asset: Asset, missing: Collection[str], policy: SyncPolicy) -> bool:
    """Return whether an image counts as cached: its original and all configured variants are on disk.

    A record that was rebuilt from manifest.json has no recipes: its variants count as the configured ones.
    """
    is_rebuilt = bool(asset.variants) and not asset.recipes
    return not missing and (is_rebuilt or set(policy.recipes) <= set(asset.recipes))


def needs_network(copy: Copy | None, asset: Asset | None, missing: Collection[str]) -> bool:
    """Return whether nothing can be done for a URL without a request to its server."""
    return next_step(copy, asset, missing, SyncPolicy(offline=True), 0.0) is Step.FETCH


def is_due(copy: Copy, refresh_after: float, now: float) -> bool:
    """Return whether to ask the server again. A clock set back by less than a day makes nothing due."""
    age = now - copy.checked_at
    return age >= refresh_after or age < -86_400.0


def misread_focus(url: str, place: Place) -> Problem:
    """Return the warning for an invalid focal point. The image is cached nevertheless."""
    message = (
        "`focus` is not two numbers from 0 to 1, so crops use the position of their variants:"
        " write the fractions from the left and from the top, for example focus: [0.3, 0.6]"
    )
    return Problem("focus", url, message, severity=Severity.WARNING, references=(place,))


def fingerprints(recipes: Iterable[Recipe]) -> tuple[str, ...]:
    """Return the fingerprints of recipes, to compare with `Asset.recipes`."""
    return tuple(recipe.fingerprint for recipe in recipes)


class SizeMatch(StrEnum):
    """How a declared size matches the true one."""

    EXACT = "exact"
    SCALED = "scaled"  # another size, the same shape: a warning
    OTHER = "other"  # another shape: an error


def compare_size(declared: Declared, true: Size) -> SizeMatch:
    """Compare a declared size with the true one. An undeclared width or height is not compared."""
    if declared.width in (None, true.width) and declared.height in (None, true.height):
        return SizeMatch.EXACT
    if declared.width is None or declared.height is None:
        return SizeMatch.SCALED
    ratio = (declared.width * true.height) / (declared.height * true.width)
    return SizeMatch.SCALED if abs(ratio - 1.0) <= SHAPE_TOLERANCE else SizeMatch.OTHER


def describe_mismatch(declared: Declared, true: Size) -> str:
    """Return the message for a reference whose declared size is not the true one."""
    width, height = declared.width or "?", declared.height or "?"
    shape = "the same shape" if compare_size(declared, true) is SizeMatch.SCALED else "another shape"
    return (
        f"declared {width}×{height}, the image is {true}: {shape};"
        f" write width {true.width} and height {true.height}, or let --dimensions fix do it"
    )


class FlagDecision(msgspec.Struct, frozen=True):
    """The decision for one reference: an edit of its entry, the severity of a problem, both or neither."""

    edit: Edit | None = None
    severity: Severity | None = None  # of a `dimensions` problem


def decide_flag(
    reference: Reference, *, held: bool, true: Size | None, dimensions: Dimensions, may_clear: bool
) -> FlagDecision:
    """Decide what the flag and the declared size of one reference should be: the only place that does.

    Args:
        reference: with its flag and its declared size.
        held: whether the image is on disk in full.
        true: its displayed size, None if that is not known.
        dimensions: the setting of the site.
        may_clear: whether a flag may be taken away (not while the network is down).
    """
    shape = SizeMatch.EXACT if true is None else compare_size(reference.declared, true)
    may_fix = dimensions == Dimensions.FIX and reference.field != DATA_FIELD
    fix = true if may_fix and shape is not SizeMatch.EXACT else None
    wanted = held and (shape is not SizeMatch.OTHER or dimensions != Dimensions.CHECK)
    flag = None
    if reference.flaggable and wanted != bool(reference.is_cached) and (wanted or may_clear):
        flag = wanted
    severity = None
    if dimensions != Dimensions.IGNORE and not may_fix and shape is not SizeMatch.EXACT:
        severity = Severity.ERROR if shape is SizeMatch.OTHER else Severity.WARNING
    edit = Edit(reference.line, reference.column, flag, fix) if flag is not None or fix is not None else None
    return FlagDecision(edit, severity)


def severity_of_own_image(code: str, *, guessed: bool = False) -> Severity:
    """Return the severity of a problem with an own image. A format that only browsers can read is a note.

    Args:
        code: of the problem.
        guessed: no place that names it is certain to name an image.
    """
    if code == UnsupportedFormat.code:
        return Severity.NOTE
    return Severity.WARNING if guessed and code in {NotAnImage.code, MissingFile.code} else Severity.ERROR


def disproves_guess(code: str, *, guessed: bool) -> bool:
    """Return whether a remote image that was only guessed has turned out to be none: such a URL is not asked again."""
    return guessed and code == NotAnImage.code


def disproved_guess(problem: Problem) -> Problem:
    """Return the warning about a URL that was only guessed to be an image and is none."""
    message = (
        f"{problem.message}; it was only guessed to be an image, so it is not asked again:"
        " name the fields with images as `fields` in imgcache.yml if this is one of them"
    )
    return msgspec.structs.replace(problem, message=message, severity=Severity.WARNING)
