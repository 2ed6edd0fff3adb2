"""The words that settings choose from. In files, JSON and fingerprints each is its plain text."""

from __future__ import annotations

from enum import StrEnum


class Fit(StrEnum):
    """How an image fills the width and height of a variant."""

    INSIDE = "inside"  # whole, within both
    COVER = "cover"  # cropped, so that it fills both


class Position(StrEnum):
    """Which part of an image a crop keeps."""

    CENTER = "center"
    TOP = "top"
    ENTROPY = "entropy"  # the part with the most detail
    ATTENTION = "attention"  # the part that draws the eye


class ColorSpace(StrEnum):
    """In which colour space a variant is."""

    SRGB = "srgb"  # converted to sRGB
    KEEP = "keep"  # the colours and the profile of the original


class Motion(StrEnum):
    """What becomes of an animation."""

    KEEP = "keep"
    FIRST = "first"  # a still of the first frame


class Dimensions(StrEnum):
    """What happens where an article declares another size than the image has."""

    CHECK = "check"  # it is reported
    FIX = "fix"  # the true size is written
    IGNORE = "ignore"


class Generator(StrEnum):
    """The site generators whose files and defaults are known."""

    JEKYLL = "jekyll"
    HUGO = "hugo"
    ELEVENTY = "eleventy"
    HEXO = "hexo"
    ASTRO = "astro"
    DOCUSAURUS = "docusaurus"
    VITEPRESS = "vitepress"
    GATSBY = "gatsby"
    MKDOCS = "mkdocs"
    ZENSICAL = "zensical"
    PELICAN = "pelican"
    SPHINX = "sphinx"
