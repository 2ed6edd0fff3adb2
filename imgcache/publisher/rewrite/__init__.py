"""Pages, style sheets and feeds that any generator has built, made to load local images. Pure.

`find` says which remote images a file names; `rewrite` gives its bytes with those replaced that are held. Both take
bytes and give values, so that any process can do them. Every change is a splice at byte positions: what is no part of
an image reference stays as it was, and the result is parsed and compared before it is given.
"""

from imgcache.publisher.rewrite.files import find, kind_of, rewrite
from imgcache.publisher.rewrite.offers import File, Held, held
from imgcache.publisher.rewrite.values import BuiltReference, Form, Kind, Options, Rewritten, Unreadable

__all__ = [
    "BuiltReference",
    "File",
    "Form",
    "Held",
    "Kind",
    "Options",
    "Rewritten",
    "Unreadable",
    "find",
    "held",
    "kind_of",
    "rewrite",
]
