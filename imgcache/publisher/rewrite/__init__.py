"""Makes pages, style sheets and feeds that any generator has built load local images.

`find` says which remote images a file names; `rewrite` gives its bytes with those replaced that are held. Both are
pure, so that any process can do them. Every change is a splice at byte positions: what is no part of an image reference
stays as it was, and the result is parsed and compared before it is given. `BuiltScanner` and `PageWriter` do this for
all files of a folder.
"""

from imgcache.publisher.rewrite.consequences import (
    broken_checksums,
    images_in_scripts,
    no_address,
    published_copies,
    stale_precaches,
)
from imgcache.publisher.rewrite.files import find, kind_of, rewrite
from imgcache.publisher.rewrite.offers import File, Held, held
from imgcache.publisher.rewrite.reader_pages import ReaderPages
from imgcache.publisher.rewrite.records import FolderTask
from imgcache.publisher.rewrite.report import RewriteReport
from imgcache.publisher.rewrite.scan import BuiltScanner
from imgcache.publisher.rewrite.selectors import structural
from imgcache.publisher.rewrite.values import BuiltReference, FileKind, Form, Options, Rewritten, Unreadable
from imgcache.publisher.rewrite.walk import BuiltFolder
from imgcache.publisher.rewrite.workers import PagePool
from imgcache.publisher.rewrite.writing import PageWriter

__all__ = [
    "BuiltFolder",
    "BuiltReference",
    "BuiltScanner",
    "File",
    "FileKind",
    "FolderTask",
    "Form",
    "Held",
    "Options",
    "PagePool",
    "PageWriter",
    "ReaderPages",
    "RewriteReport",
    "Rewritten",
    "Unreadable",
    "broken_checksums",
    "find",
    "held",
    "images_in_scripts",
    "kind_of",
    "no_address",
    "published_copies",
    "rewrite",
    "stale_precaches",
    "structural",
]
