"""All errors of imgcache, as one tree.

```
ImgcacheError
├── ConfigError            a setting is wrong: nothing was started              (exit status 2)
├── CacheBusy              another run holds this cache                         (exit status 3)
├── IndexDamaged           the records of the cache cannot be read; the next writer rebuilds them from the files
├── ArticleError           one article cannot be read or written; it is left as it is
│   ├── ArticleUnreadable  article-unreadable
│   ├── ArticleChanged     article-changed
│   ├── ArticleInternal    internal
│   └── ArticleUnwritable  article-unwritable
└── ImageError             one image failed; other images are not affected
    ├── BadUrl             bad-url             article
    ├── BadScheme          bad-scheme          article
    ├── BlockedAddress     blocked-address     article
    ├── DnsFailure         dns                 network  retryable
    ├── ConnectFailure     connect             network  retryable
    ├── TlsFailure         tls                 network
    ├── FetchTimeout       timeout             network  retryable
    ├── HttpStatus         http-status         server   retryable on 408, 425, 429 and 5xx
    ├── BadRedirect        redirects           server
    ├── TooLarge           too-large           server
    ├── Truncated          truncated           server   retryable
    ├── NotAnImage         not-an-image        server
    ├── UnsupportedFormat  unsupported-format  server
    ├── Undecodable        undecodable         server
    ├── TooManyPixels      too-many-pixels     server
    ├── TooManyFrames      too-many-frames     server
    ├── DecoderCrash       decoder-crash       server
    ├── DecoderTimeout     decoder-timeout     server
    ├── Placeholder        placeholder         server
    ├── HostDown           host-down           network  retryable
    ├── Robots             robots              rule
    ├── OverBudget         budget              rule     retryable
    ├── DiskFull           disk-full           local    retryable
    │   └── StoreError     disk-full           local    retryable: an object store failed
    ├── WorkerLost         worker-lost         local    retryable
    ├── MissingFile        missing-file        local
    ├── NoOpenFiles        open-files          local    retryable
    └── Internal           internal            local
```

`code` is the stable name that reports and scripts see, `blame` says where the cause is, and `retryable` whether the
same request may succeed later.
"""

from __future__ import annotations

import functools
from enum import StrEnum
from typing import ClassVar, TypedDict, Unpack


class Blame(StrEnum):
    """Where the cause of a failed image is. Only `SERVER` and `NETWORK` count against its URL."""

    ARTICLE = "article"  # the address is written wrongly: no host was asked
    RULE = "rule"  # robots.txt or the run's budget: the image was left out on purpose
    LOCAL = "local"  # this machine, its disk or its workers
    NETWORK = "network"  # no answer: a network that is down makes every URL fail in this way
    SERVER = "server"  # what the server answered, or the image that it sent


class ImgcacheError(Exception):
    """The root of the tree: everything that imgcache raises on purpose."""


class ConfigError(ImgcacheError):
    """A setting is unknown, malformed or out of range.

    `where` names what has to be corrected: `imgcache.yml:12`, `--max-time` or `IMGCACHE_FETCH__RETRIES`.
    """

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where


class CacheBusy(ImgcacheError):
    """Another run holds the cache. The message names it."""


class IndexDamaged(ImgcacheError):
    """The records of the cache cannot be read. The next writer rebuilds them from the files."""


class ArticleError(ImgcacheError):
    """One article cannot be read or written. Line and column count from 1; a column counts characters."""

    code: ClassVar[str] = "article-unreadable"

    def __init__(self, message: str, *, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


class ArticleUnreadable(ArticleError):
    """The front matter cannot be understood, or not safely edited."""


class ArticleChanged(ArticleError):
    """The file was changed after it was scanned."""

    code = "article-changed"


class ArticleInternal(ArticleError):
    """An unexpected exception while this article was processed: a bug in imgcache."""

    code = "internal"


class ArticleUnwritable(ArticleError):
    """The file is read-only, belongs to another user, or is outside the site: its flags cannot be written."""

    code = "article-unwritable"


class _Facts(TypedDict, total=False):
    code: str
    blame: Blame
    is_elsewhere: bool
    needs_whole: bool
    retryable: bool


class ImageError(ImgcacheError):
    """One image failed. The message is for people, and free of control characters that a server sent.

    Attributes:
        code: the stable name of the failure.
        blame: where its cause is.
        is_elsewhere: whether the picture may still be at a similar address.
        needs_whole: whether only the whole image shows the failure, so that a good beginning does not refute it.
        retryable: whether the same request may succeed later.
        status: of the response, for `http-status`.
        wall: the bot wall that answered in place of the server.
    """

    code: ClassVar[str]
    blame: ClassVar[Blame] = Blame.SERVER
    is_elsewhere: ClassVar[bool] = False
    needs_whole: ClassVar[bool] = False
    retryable: bool = False
    status: int | None = None
    wall: str | None = None

    def __init_subclass__(cls, **facts: Unpack[_Facts]) -> None:
        super().__init_subclass__()
        for name, value in facts.items():
            setattr(cls, name, value)

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadUrl(ImageError, code="bad-url", blame=Blame.ARTICLE):
    """The URL cannot be parsed, has credentials, or writes an IP address in a form that disguises it."""


class BadScheme(ImageError, code="bad-scheme", blame=Blame.ARTICLE):
    """The URL is neither http nor https."""


class BlockedAddress(ImageError, code="blocked-address", blame=Blame.ARTICLE):
    """The address of the host is not public and not in `allow_networks`."""


class DnsFailure(ImageError, code="dns", blame=Blame.NETWORK, retryable=True):
    """The host's name does not resolve."""


class ConnectFailure(ImageError, code="connect", blame=Blame.NETWORK, retryable=True):
    """The connection failed, or broke before the response was complete."""


class TlsFailure(ImageError, code="tls", blame=Blame.NETWORK):
    """The certificate or the handshake is not valid."""


class FetchTimeout(ImageError, code="timeout", blame=Blame.NETWORK, retryable=True):
    """Connecting, waiting for a byte, or the whole transfer took longer than its limit."""


class HttpStatus(ImageError, code="http-status", is_elsewhere=True):
    """The server answered with a status other than success (RFC 9110, section 15)."""

    RETRYABLE: ClassVar[frozenset[int]] = frozenset({408, 425, 429, 500, 502, 503, 504})

    def __init__(self, message: str, status: int, *, retry_after: float | None = None, wall: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.wall = wall
        self.retryable = status in self.RETRYABLE or status >= 500
        self.retry_after = retry_after  # seconds (RFC 9110, section 10.2.3)

    def __reduce__(self) -> tuple[functools.partial[HttpStatus], tuple[str, int]]:
        """For pickle and copy: the method of BaseException would pass the message alone."""
        whole = functools.partial(type(self), retry_after=self.retry_after, wall=self.wall)
        return whole, (self.message, self.status or 0)


class BadRedirect(ImageError, code="redirects", is_elsewhere=True):
    """There were too many redirects, a loop, or a redirect without a usable Location."""


class TooLarge(ImageError, code="too-large"):
    """The body has more bytes than `limits.bytes`, announced or sent."""


class Truncated(ImageError, code="truncated", needs_whole=True, retryable=True):
    """The body has fewer bytes than Content-Length announced, or its chunked coding is incomplete."""


class NotAnImage(ImageError, code="not-an-image", is_elsewhere=True):
    """The body is not an image: a page, a text, an archive or the like."""


class UnsupportedFormat(ImageError, code="unsupported-format"):
    """The body is an image of a format that imgcache does not decode."""


class Undecodable(ImageError, code="undecodable", needs_whole=True):
    """The header is that of an image, but the decoder cannot read the rest."""


class TooManyPixels(ImageError, code="too-many-pixels", needs_whole=True):
    """The header announces more pixels, over all frames, than `limits.pixels`."""


class TooManyFrames(ImageError, code="too-many-frames", needs_whole=True):
    """The header announces more frames than `limits.frames`."""


class DecoderCrash(ImageError, code="decoder-crash", needs_whole=True):
    """The worker process died, or ran out of its memory, on this image."""


class DecoderTimeout(ImageError, code="decoder-timeout", needs_whole=True):
    """The worker process did not finish within `limits.decode_time`."""


class Placeholder(ImageError, code="placeholder", needs_whole=True):
    """The image only stands for a missing one: a single pixel, or the "image removed" picture of a host."""


class HostDown(ImageError, code="host-down", blame=Blame.NETWORK, retryable=True):
    """The host failed several times in a row, so it is not asked again in this run."""


class Robots(ImageError, code="robots", blame=Blame.RULE):
    """The host's robots.txt forbids to fetch this URL."""


class OverBudget(ImageError, code="budget", blame=Blame.RULE, retryable=True):
    """The run's budget of time or bytes was spent before this image."""


class DiskFull(ImageError, code="disk-full", blame=Blame.LOCAL, retryable=True):
    """The cache could not be written."""


class WorkerLost(ImageError, code="worker-lost", blame=Blame.LOCAL, retryable=True):
    """The cluster workers that processed this image died, one after the other."""


class StoreError(DiskFull):
    """A request to the object store failed. The message names the object, and never a credential."""


class MissingFile(ImageError, code="missing-file", blame=Blame.LOCAL):
    """A file cannot be read: an image of the site itself, or an original of the cache."""


class NoOpenFiles(ImageError, code="open-files", blame=Blame.LOCAL, retryable=True):
    """The process or the machine has reached its limit of open files and connections."""


class Internal(ImageError, code="internal", blame=Blame.LOCAL):
    """An unexpected exception while this image was processed: a bug in imgcache."""


def image_error(code: str) -> type[ImageError] | None:
    """Returns the class of an error code, or None for a code of another version of imgcache."""
    return _by_code().get(code)


def blame_for(code: str) -> Blame:
    """Returns where the cause of a recorded failure is, by its code; unknown codes are blamed on the server."""
    kind = image_error(code)
    return kind.blame if kind else Blame.SERVER


@functools.cache
def _by_code() -> dict[str, type[ImageError]]:
    return {kind.code: kind for kind in ImageError.__subclasses__()}
