"""The tree of errors: codes, blame, and what follows from them."""

from __future__ import annotations

import pickle
import re

import pytest

from imgcache.core import Blame, HttpStatus, ImageError, StoreError, blame_for, errors, image_error

KINDS = {kind.code: kind for kind in ImageError.__subclasses__()}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_tree_in_the_docstring_shows_code_blame_and_whether_a_retry_may_help(kind: type[ImageError]) -> None:
    row = re.search(rf"── {kind.__name__} +(\S+) +(\S+)(?: +(retryable))?", errors.__doc__ or "")
    assert row is not None
    assert row[1] == kind.code
    assert row[2] == kind.blame
    assert (row[3] is not None) == (kind.retryable or kind is HttpStatus)


def test_a_code_leads_to_its_class_and_an_unknown_one_blames_the_server() -> None:
    assert {code: image_error(code) for code in KINDS} == KINDS
    assert blame_for("dns") is Blame.NETWORK
    assert image_error("of-another-version") is None
    assert blame_for("of-another-version") is Blame.SERVER


def test_an_object_store_fails_as_a_disk_does() -> None:
    assert (StoreError.code, StoreError.blame, StoreError.retryable) == ("disk-full", Blame.LOCAL, True)


def test_a_status_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(HttpStatus("busy", 429, retry_after=3.0, wall="a wall")))
    assert (error.message, error.status, error.retry_after, error.wall) == ("busy", 429, 3.0, "a wall")
    assert error.retryable
