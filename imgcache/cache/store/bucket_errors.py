"""Explains errors of obstore in the words of imgcache."""

from __future__ import annotations

import re

BAD_LISTING = "listing is not what was asked for"
ENDLESS_LISTING = "listing does not come to an end"
BAD_RANGE = "range is not what was asked for"
REPAIR = "`imgcache verify --repair` fetches it again"
# Pattern in the text of an error, and the message for it. The text itself is never shown: it may hold a token.
_REASONS = (
    (BAD_LISTING,
     "the store lists objects that were not asked for, or one page again and again: check the endpoint"),
    (ENDLESS_LISTING,
     "the store lists more objects below one prefix than any cache has: check the endpoint"),
    (BAD_RANGE, "the store sent more bytes than were asked for: check the endpoint"),
    (r"InvalidPathError",
     "the store lists a key that is no valid path (`..`, `//` or control characters): remove that object"),
    (r"NoSuchBucket|ContainerNotFound|specified bucket does not exist", "the bucket does not exist: create it first"),
    (r"BadScheme|scheme is not allowed", "the endpoint uses http: set AWS_ALLOW_HTTP=true if that is intended"),
    (r"No space left|Disk quota", "the disk is full: free some space"),
    (r"Permission|Unauthenticated|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|\b40[13] [A-Z]",
     "access denied: check the credentials in the environment, and that they may list, read, write and delete"),
    (r"169\.254\.169\.254|metadata\.google\.internal|[Mm]issing.{1,20}redentials|Account must be specified",
     "no credentials: set those of the provider in the environment"),
    (r"error sending request|kind: Connect|Timeout|timed out|dns error",
     "no answer: check the network and the endpoint (AWS_ENDPOINT_URL)"),
    (r"SlowDown|\b5\d\d [A-Z]", "the store is overloaded or has a fault: run again later"),
    (r"not yet implemented|NotImplemented|\b501 [A-Z]",
     "the store does not support conditional writes (If-None-Match), which imgcache needs"),
    (r"not found|NotFound|\b404 [A-Z]", "the object or bucket does not exist"),
)  # fmt: skip


def reason(error: Exception) -> str:
    """Returns a message for an error, by patterns in its text."""
    text = f"{type(error).__name__} {error}"
    unknown = f"the store sent an unexpected answer ({type(error).__name__}): check the endpoint"
    return next((words for pattern, words in _REASONS if re.search(pattern, text)), unknown)
