"""Every way in which imgcache can fail, as one tree.

```
ImgcacheError
├── ConfigError            a setting is wrong: nothing was started              (exit status 2)
├── CacheBusy              another run holds this cache                        (exit status 3)
├── IndexDamaged           the records of the cache cannot be read; they can be had again from the files
├── ArticleError           one article cannot be read or written; it is left as it is
│   ├── ArticleUnreadable  article-unreadable
│   ├── ArticleChanged     article-changed
│   ├── ArticleInternal    internal
│   └── ArticleUnwritable  article-unwritable
└── ImageError             one image failed; no other image is touched by it
    ├── BadUrl             bad-url
    ├── BadScheme          bad-scheme
    ├── BlockedAddress     blocked-address
    ├── DnsFailure         dns                  again
    ├── ConnectFailure     connect              again
    ├── TlsFailure         tls
    ├── FetchTimeout       timeout              again
    ├── HttpStatus         http-status          again on 408, 425, 429 and 5xx
    ├── BadRedirect        redirects
    ├── TooLarge           too-large
    ├── Truncated          truncated            again
    ├── NotAnImage         not-an-image
    ├── UnsupportedFormat  unsupported-format
    ├── Undecodable        undecodable
    ├── TooManyPixels      too-many-pixels
    ├── TooManyFrames      too-many-frames
    ├── DecoderCrash       decoder-crash
    ├── DecoderTimeout     decoder-timeout
    ├── Placeholder        placeholder
    ├── HostDown           host-down            again
    ├── Robots             robots
    ├── OverBudget         budget               again
    ├── DiskFull           disk-full            again
    │   └── StoreError     disk-full            again: an object store that cannot be reached, read or written
    ├── WorkerLost         worker-lost          again
    ├── MissingFile        missing-file
    ├── NoOpenFiles        open-files           again: of this machine, too many files and connections are open
    └── Internal           internal
```

`code` is the stable name that reports and scripts see; `retryable` answers "may the same request succeed later?".
"""

from __future__ import annotations

import functools
from typing import ClassVar


class ImgcacheError(Exception):
    """The root of the tree: catch this to catch everything that imgcache raises on purpose."""


class ConfigError(ImgcacheError):
    """A setting is unknown, malformed or out of range.

    `where` is what a person opens to mend it: `imgcache.yml:12`, `--max-time` or `IMGCACHE_FETCH__RETRIES`.
    """

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where


class CacheBusy(ImgcacheError):
    """Another run holds the cache; the message names it."""


class IndexDamaged(ImgcacheError):
    """The records of the cache cannot be read. A writer that opens them again has them rebuilt from the files."""


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
    """The file is no longer the one that was scanned: somebody saved it in between."""

    code = "article-changed"


class ArticleInternal(ArticleError):
    """imgcache failed on this article in a way that nobody foresaw: a bug, to be reported."""

    code = "internal"


class ArticleUnwritable(ArticleError):
    """The file is read-only, belongs to somebody else, or lies outside the site: its flags cannot be kept."""

    code = "article-unwritable"


class ImageError(ImgcacheError):
    """One image failed. The message is for people and carries no control characters of the network."""

    code: ClassVar[str]
    retryable: bool = False
    status: int | None = None
    wall: str | None = None  # the bot wall that answered in the server's place

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadUrl(ImageError):
    """The URL cannot be read, carries credentials, or spells an address in a way that hides it."""

    code = "bad-url"


class BadScheme(ImageError):
    """Neither http nor https."""

    code = "bad-scheme"


class BlockedAddress(ImageError):
    """The address about to be connected is not public and not in `allow_networks`."""

    code = "blocked-address"


class DnsFailure(ImageError):
    """The host's name does not resolve."""

    code = "dns"
    retryable = True


class ConnectFailure(ImageError):
    """No connection, or one that broke before the response was complete."""

    code = "connect"
    retryable = True


class TlsFailure(ImageError):
    """The certificate or the handshake is not good."""

    code = "tls"


class FetchTimeout(ImageError):
    """Connecting, waiting for a byte, or the whole transfer took longer than its limit."""

    code = "timeout"
    retryable = True


class HttpStatus(ImageError):
    """The server answered with a status that is not the image (RFC 9110, section 15)."""

    code = "http-status"
    RETRYABLE: ClassVar[frozenset[int]] = frozenset({408, 425, 429, 500, 502, 503, 504})

    def __init__(self, message: str, status: int, *, retry_after: float | None = None, wall: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.wall = wall
        self.retryable = status in self.RETRYABLE or status >= 500
        self.retry_after = retry_after  # seconds, as the server asked (RFC 9110, section 10.2.3)

    def __reduce__(self) -> tuple[functools.partial[HttpStatus], tuple[str, int]]:
        """For pickle and copy: BaseException's own would call the class with the message alone."""
        whole = functools.partial(type(self), retry_after=self.retry_after, wall=self.wall)
        return whole, (self.message, self.status or 0)


class BadRedirect(ImageError):
    """Too many redirects, a loop, or one without a usable Location."""

    code = "redirects"


class TooLarge(ImageError):
    """More bytes than `limits.bytes`, announced or sent."""

    code = "too-large"


class Truncated(ImageError):
    """Fewer bytes than Content-Length announced, or a broken end of the chunked coding."""

    code = "truncated"
    retryable = True


class NotAnImage(ImageError):
    """The bytes are no image: a page, a text, an archive."""

    code = "not-an-image"


class UnsupportedFormat(ImageError):
    """An image, of a kind that imgcache does not decode."""

    code = "unsupported-format"


class Undecodable(ImageError):
    """The header says image, and no decoder finishes it."""

    code = "undecodable"


class TooManyPixels(ImageError):
    """The header announces more pixels, over all frames, than `limits.pixels`."""

    code = "too-many-pixels"


class TooManyFrames(ImageError):
    """The header announces more frames than `limits.frames`."""

    code = "too-many-frames"


class DecoderCrash(ImageError):
    """The worker process died, or ran out of its memory, on this image."""

    code = "decoder-crash"


class DecoderTimeout(ImageError):
    """The worker process did not finish this image within `limits.decode_time`."""

    code = "decoder-timeout"


class Placeholder(ImageError):
    """A picture that stands for a missing one: a single pixel, or the host's "image removed" card."""

    code = "placeholder"


class HostDown(ImageError):
    """The host could not be reached, or sent nothing in time, several times in a row; not asked again in this run."""

    code = "host-down"
    retryable = True


class Robots(ImageError):
    """The host's robots.txt asks not to fetch this."""

    code = "robots"


class OverBudget(ImageError):
    """The run's budget of time or bytes was spent before this image's turn."""

    code = "budget"
    retryable = True


class DiskFull(ImageError):
    """The cache could not be written."""

    code = "disk-full"
    retryable = True


class WorkerLost(ImageError):
    """The workers of a cluster that had this image in hand died, one after the other."""

    code = "worker-lost"
    retryable = True


class StoreError(DiskFull):
    """The object store did not do what it was asked. The message names the object, and never a credential."""


class MissingFile(ImageError):
    """An image of the site itself is not where the article says."""

    code = "missing-file"


class NoOpenFiles(ImageError):
    """The limit of open files and connections, of the process or of the machine, was reached and stayed so."""

    code = "open-files"
    retryable = True


class Internal(ImageError):
    """imgcache failed on this image in a way that nobody foresaw: a bug, to be reported."""

    code = "internal"
