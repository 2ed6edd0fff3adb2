"""What an editor does about a finding, in words. Pure."""

from __future__ import annotations

from imgcache.core import Failure, Size, redact

_ELSEWHERE = "link the picture where it is now, or take the entry out"
_AGAIN = "audit again later; if it stays so, " + _ELSEWHERE
_ANOTHER = "link another picture"

_BY_CODE = {
    "bad-url": "correct the address in the article",
    "bad-scheme": "write an http or https address",
    "blocked-address": "link a public address, or name its network in imgcache.yml under allow_networks",
    "dns": "correct the host's name, or " + _ELSEWHERE,
    "connect": _AGAIN,
    "timeout": _AGAIN,
    "host-down": _AGAIN,
    "tls": "tell the host's owner, or " + _ELSEWHERE,
    "redirects": _ELSEWHERE,
    "too-large": "link a smaller one, or raise limits.bytes in imgcache.yml",
    "too-many-pixels": "link a smaller one, or raise limits.pixels in imgcache.yml",
    "too-many-frames": "link a shorter one, or raise limits.frames in imgcache.yml",
    "not-an-image": "the address leads to something else: write the one of the picture itself",
    "unsupported-format": "link it as JPEG, PNG, GIF, WebP or AVIF",
    "placeholder": _ELSEWHERE,
    "robots": "ask the host's owner; if they agree, set respect_robots: false in imgcache.yml",
    "disk-full": "make room, and run `imgcache sync`",
    "budget": "run `imgcache sync` again",
    "worker-lost": "run again; if it comes back, look into the workers' logs",
    "open-files": "close other programs or raise the limit (ulimit -n), and run again",
    "internal": "report it, with what -v logs",
}

MEND = "mend it with `imgcache verify --repair`"
SYNC = "run `imgcache sync`: it fetches the picture, or takes the flag away"
NO_CACHE = "run `imgcache sync`, or restore the cache; where neither is wanted, there is nothing to do"
FLAG = "run `imgcache sync`: it writes the flag"
VARIANTS = "run `imgcache sync`: it makes them"
TRACKER = "take it out: it shows nothing, and tells another host who reads"
INSECURE = "link a copy that is served over https, or let `imgcache sync` hold one"
CARD = "the host sends this picture in place of many: " + _ELSEWHERE
NETWORK = "check the network, the proxy and the DNS of this machine, and audit again"
CERTIFICATE = "tell the host's owner; when it has ended, browsers no longer show its pictures"
QUARANTINE = "decide: `imgcache quarantine accept URL` or `imgcache quarantine reject URL`"
HOSTS = "let `imgcache sync` hold copies of its images, or raise budget.hosts in imgcache.yml"
BYTES = "let `imgcache sync` hold copies and serve their variants, or raise budget.bytes_per_article in imgcache.yml"
ARTICLE = "correct the file there"


def failing(failure: Failure, *, nearer: str | None, is_held: bool) -> str:
    """For an image that fails.

    Args:
        failure: with its code and status.
        nearer: another address of the picture that answers.
        is_held: whether a copy is in the cache.
    """
    first = f"if it is the picture, write {redact(nearer, 500)}, which answers" if nearer else _cause(failure)
    return f"{first}; a copy is held, so readers can be served from the cache" if is_held else first


def _cause(failure: Failure) -> str:
    if failure.code != "http-status":
        return _BY_CODE.get(failure.code, _ANOTHER)
    if failure.wall is not None:
        return "open it in a browser: if it is there, link a copy on a host that lets readers' browsers in"
    match failure.status:
        case 404 | 410:
            return _ELSEWHERE
        case 401 | 403:
            return "the host does not give it to strangers: " + _ANOTHER
        case 408 | 425 | 429 | 500 | 502 | 503 | 504:
            return _AGAIN
        case _:
            return _ELSEWHERE


def size(true: Size, *, is_fixable: bool, is_body: bool) -> str:
    """For a declared size that is not the true one."""
    what = (
        f'width="{true.width}" height="{true.height}"' if is_body else f"width: {true.width} and height: {true.height}"
    )
    return f"write {what}" + ("; `imgcache audit --fix` does it" if is_fixable else "")


def address(url: str, *, is_fixable: bool) -> str:
    """For an image that has another address."""
    return f"write {redact(url, 500)}" + ("; `imgcache audit --fix` does it" if is_fixable else "")


def file(code: str) -> str:
    """For a file of the site that is there."""
    if code == "unsupported-format":
        return "nothing, if browsers show it: its size cannot be checked"
    return "put a whole picture in its place"
