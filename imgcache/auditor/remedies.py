"""Says what an editor can do about a finding. Pure."""

from __future__ import annotations

from imgcache.core import Failure, Size, redact

_REPLACE = "link the image at its current address, or remove it"
_RETRY = "try again later; if it still fails, " + _REPLACE
_OTHER_IMAGE = "link another image"

_BY_CODE = {
    "bad-url": "correct the address in the article",
    "bad-scheme": "write an http or https address",
    "blocked-address": "link a public address, or add its network to allow_networks in imgcache.yml",
    "dns": "correct the host name, or " + _REPLACE,
    "connect": _RETRY,
    "timeout": _RETRY,
    "host-down": _RETRY,
    "tls": "tell the owner of the host, or " + _REPLACE,
    "redirects": _REPLACE,
    "too-large": "link a smaller image, or raise limits.bytes in imgcache.yml",
    "too-many-pixels": "link a smaller image, or raise limits.pixels in imgcache.yml",
    "too-many-frames": "link a shorter animation, or raise limits.frames in imgcache.yml",
    "not-an-image": "the address leads to something else: write the address of the image itself",
    "unsupported-format": "link it as JPEG, PNG, GIF, WebP or AVIF",
    "placeholder": _REPLACE,
    "robots": "ask the owner of the host; if they agree, set respect_robots: false in imgcache.yml",
    "disk-full": "free disk space, and run `imgcache sync`",
    "budget": "run `imgcache sync` again",
    "worker-lost": "run again; if it happens again, read the logs of the workers",
    "open-files": "close other programs or raise the limit (ulimit -n), and run again",
    "internal": "report it, with the log that -v writes",
    "dimensions": "write the true size into the article; `imgcache sync --dimensions fix` does it",
    "missing-file": "write the name of the file as it is on disk, or add the file",
    "article-unreadable": "correct the article at that line",
    "article-changed": "run `imgcache sync` again",
}

REPAIR = "repair it with `imgcache verify --repair`"
SYNC = "run `imgcache sync`: it fetches the image, or removes the flag"
NO_CACHE = "run `imgcache sync`, or restore the cache; if this folder needs no cache, there is nothing to do"
FLAG = "run `imgcache sync`: it sets the flag"
VARIANTS = "run `imgcache sync`: it makes them"
TRACKER = "remove it: it shows nothing, and lets another host see who reads the article"
INSECURE = (
    "link a copy that is served over https, or run `imgcache rewrite` after the build: pages then load a local copy"
)
PLACEHOLDER = "the host sends this image in place of many others: " + _REPLACE
NETWORK = "check the network, the proxy and the DNS of this machine, and audit again"
CERTIFICATE = "tell the owner of the host; once the certificate has expired, browsers do not show the images"
QUARANTINE = "decide with `imgcache quarantine accept URL` or `imgcache quarantine reject URL`"
_LOCAL = "run `imgcache rewrite` after the build, and audit the pages with --built FOLDER"
HOSTS = f"{_LOCAL}; or raise budget.hosts in imgcache.yml"
BYTES = f"{_LOCAL}; or raise budget.bytes_per_article in imgcache.yml"
ARTICLE = _BY_CODE["article-unreadable"]
BUILT = "build the site again; its bytes must be in the encoding that the page declares"
REWRITE = "run `imgcache rewrite` after the build: the page then loads a local copy"
ALT = 'write what the image shows into its article; alt="" if it is decoration'
SIZE = "run `imgcache rewrite` after the build, which adds them, or write width and height"
OVERSIZED = "show a smaller variant: `imgcache rewrite` after the build offers several widths"


def failing(failure: Failure, *, alternative: str | None, is_held: bool) -> str:
    """Returns the remedy for an image that fails.

    Args:
        failure: its code and status.
        alternative: another URL of the image that answers.
        is_held: whether the cache has a copy.
    """
    first = remedy_of(failure.code, failure.status, is_wall=failure.wall is not None)
    if alternative:
        first = f"if it is the right image, write {redact(alternative, 500)}, which answers"
    return f"{first}; the cache has a copy that readers can be served" if is_held else first


def remedy_of(code: str, status: int | None = None, *, is_wall: bool = False) -> str:
    """Returns what to do about a problem.

    Args:
        code: its code.
        status: of the response, for `http-status`.
        is_wall: whether the host took imgcache for a robot.
    """
    if code != "http-status":
        return _BY_CODE.get(code, _OTHER_IMAGE)
    if is_wall:
        return "open it in a browser: if it is there, link a copy on a host that does not block readers"
    match status:
        case 401 | 403:
            return "the host does not serve it to the public: " + _OTHER_IMAGE
        case 408 | 425 | 429 | 500 | 502 | 503 | 504:
            return _RETRY
        case _:
            return _REPLACE


def size(true: Size, *, is_fixable: bool, is_body: bool) -> str:
    """Returns the remedy for a declared size that is not the true one; `is_body`: it is declared in HTML."""
    what = (
        f'width="{true.width}" height="{true.height}"' if is_body else f"width: {true.width} and height: {true.height}"
    )
    return f"write {what}" + ("; `imgcache audit --fix` does it" if is_fixable else "")


def address(url: str, *, is_fixable: bool) -> str:
    """Returns the remedy for an image that has another URL."""
    return f"write {redact(url, 500)}" + ("; `imgcache audit --fix` does it" if is_fixable else "")


def file(code: str) -> str:
    """Returns the remedy for a file of the site that exists and is not a valid image."""
    if code == "unsupported-format":
        return "nothing, if browsers show it: imgcache cannot check its size"
    return "replace it with a complete image"
