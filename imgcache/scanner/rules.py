"""How the articles of a site are read: what its generator and the setting `fields` decide."""

from __future__ import annotations

from typing import NamedTuple

from imgcache.scanner.frontmatter import DEFAULT, Fields
from imgcache.scanner.markup import Syntax


class ReadingRules(NamedTuple):
    """What every reader and writer of the articles of one site has to agree on.

    Attributes:
        syntax: how the generator of the site reads bodies.
        fields: what names an image in front matter and data files, beside the lists named `images`.
    """

    syntax: Syntax = Syntax()
    fields: Fields = DEFAULT


USUAL = ReadingRules()
