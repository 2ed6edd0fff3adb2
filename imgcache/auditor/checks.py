"""What is wrong with one image, by what is known of it: each function makes one finding, or none. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from imgcache.auditor import remedies
from imgcache.auditor.finding_factory import image_finding, places_finding, uses_finding
from imgcache.cache import AuditedImage, ImageUse
from imgcache.core import (
    Correction,
    Declared,
    Dimensions,
    Failure,
    Finding,
    Hop,
    Place,
    Problem,
    Severity,
    Size,
    UrlState,
    blame_for,
    clean_text,
    plural,
    redact,
)
from imgcache.policy import Health, SizeMatch, health, plan

PERMANENT = frozenset({301, 308})  # RFC 9110, sections 15.4.2 and 15.4.9
WITHOUT_COPY = "flag-without-copy"
_TOLD = 5  # declared sizes that one message tells apart

_UNSIZED = frozenset({"body", "shortcode"})  # fields that declare no size
_MILD = frozenset({UrlState.FLAKY, UrlState.BLOCKED})


def failing(named: AuditedImage, failure: Failure, past: Health | None, now: float, nearer: str | None) -> Finding:
    """An image that cannot be had."""
    state = health.url_state(failure, past, now)
    severity = Severity.ERROR
    if failure.code == "robots":
        severity = Severity.NOTE
    elif blame_for(failure.code) not in health.NOT_COUNTED and state in _MILD:
        severity = Severity.WARNING
    message = failure.message
    if failure.rests:
        message = f"{message}; {state}: failing since {health.format_day(failure.first_at)}"
    remedy = remedies.failing(failure, nearer=nearer, is_held=named.digest is not None)
    return image_finding(
        named,
        failure.code,
        severity,
        message,
        remedy,
        state=None if blame_for(failure.code) in health.NOT_COUNTED else state,
    )


def broken_file(named: AuditedImage, code: str, message: str) -> Finding:
    """A file of the site that is not there, or is no picture. One that only browsers can read is no error."""
    severity = plan.own_severity(code)
    what, _, advice = message.partition("; ")
    return image_finding(named, code, severity, what, advice or remedies.file(code))


def sizes(named: AuditedImage, *, is_sure: bool, state: UrlState | None) -> Iterator[Finding]:
    """Declared sizes that are not the true one: of another shape, and of another size alone.

    `is_sure`: the picture at the address is the one that is meant, so that its size may be written.
    """
    true = named.true
    if true is None:
        return
    for rule, shape, severity in (
        ("dimensions", SizeMatch.OTHER, Severity.ERROR),
        ("scaled", SizeMatch.SCALED, Severity.WARNING),
    ):
        uses = tuple(use for use in named.uses if plan.compare_size(use.declared, true) is shape)
        if not uses:
            continue
        changes = [Correction(use.place, size=true) for use in uses if is_sure and use.place.field not in _UNSIZED]
        remedy = remedies.size(true, is_fixable=bool(changes), is_body=all(use.place.field in _UNSIZED for use in uses))
        at = named._replace(uses=uses)
        yield image_finding(at, rule, severity, _tell(uses, true, shape), remedy, state=state, changes=changes)


def _tell(uses: Sequence[ImageUse], true: Size, shape: SizeMatch) -> str:
    said: dict[Declared, Place] = {}
    for use in uses:
        said.setdefault(use.declared, use.place)
    how = "the same shape, another size" if shape is SizeMatch.SCALED else "another shape"
    if len(said) == 1:
        [declared] = said
        if (declared.width, declared.height) == (true.height, true.width):
            how = "width and height are swapped"
        return f"declared {_size(declared)}, the image is {true}: {how}"
    told = [
        f"{_size(one)} at {clean_text(place.article, 300)}:{place.line}" for one, place in list(said.items())[:_TOLD]
    ]
    more = [f"{plural(len(said) - _TOLD, 'size')} more"] if len(said) > _TOLD else []
    return f"the image is {true}: {how}; declared " + ", ".join(told + more)


def _size(declared: Declared) -> str:
    return f"{declared.width or '?'}×{declared.height or '?'}"


def flags(named: AuditedImage, dimensions: Dimensions) -> Iterator[Finding]:
    """Flags that are not what the cache holds. An entry that `sync` would not flag for its size lacks none."""
    held = named.digest is not None
    if bare := without_copy(named):
        message = "isCached is true, and no copy is held"
        yield image_finding(named._replace(uses=bare), WITHOUT_COPY, Severity.ERROR, message, remedies.SYNC)
    true = named.held
    fits = (
        use
        for use in named.uses
        if dimensions != Dimensions.CHECK or not true or plan.compare_size(use.declared, true) != SizeMatch.OTHER
    )
    lacking = tuple(use for use in fits if use.flaggable and held and not use.is_cached)
    if lacking:
        message = "a copy is held, and isCached is not set"
        yield image_finding(named._replace(uses=lacking), "copy-without-flag", Severity.WARNING, message, remedies.FLAG)


def without_copy(named: AuditedImage) -> tuple[ImageUse, ...]:
    """The uses that say isCached although no copy is held."""
    return tuple(use for use in named.uses if use.flaggable and use.is_cached and named.digest is None)


def no_cache(images: int, uses: Sequence[ImageUse]) -> Finding:
    """All flags of a site that has no cache: it is a clone, and the flags are right where the cache is."""
    found = uses_finding(uses, WITHOUT_COPY, Severity.NOTE, "", remedies.NO_CACHE)
    verb = "is" if images == 1 else "are"
    flagged = f"{plural(images, 'image')} {verb} flagged in {plural(found.articles, 'article')}"
    message = f"{flagged}, and there is no cache here, as in a fresh clone"
    return msgspec.structs.replace(found, message=message)


def variants(named: AuditedImage, absent: Sequence[str]) -> Finding:
    """An image whose copy lacks variants: the files named, or, where none is, such as were asked for since."""
    if absent:
        names = ", ".join(clean_text(path.rpartition("/")[2], 60) for path in absent)
        message, remedy = f"of the copy held, these files are missing: {names}", remedies.MEND
    else:
        message, remedy = "variants that imgcache.yml asks for are not made yet", remedies.VARIANTS
    return image_finding(named, "variant-missing", Severity.WARNING, message, remedy)


def insecure(named: AuditedImage, secure: str | None, state: UrlState | None) -> Finding:
    """An image over http; `secure` is an https address with the same picture."""
    if secure is None:
        message = "http: browsers warn of it, or do not show it, and https gives no such picture"
        return image_finding(named, "not-secure", Severity.NOTE, message, remedies.INSECURE, state=state)
    changes = [Correction(use.place, url=secure) for use in named.uses]
    remedy = remedies.address(secure, is_fixable=True)
    message = "http, and the host gives the same picture over https"
    return image_finding(named, "not-secure", Severity.WARNING, message, remedy, state=state, changes=changes)


def redirected(named: AuditedImage, hops: Sequence[Hop], shared_by: int, state: UrlState | None) -> Finding:
    """An image at another address. Where every hop is permanent, the new one is written.

    Not where several addresses lead to it, or where an article declares a picture of another shape: then it may be the
    picture for pictures that are gone.
    """
    target = hops[-1].url
    to = redact(target, 300)
    if any(hop.status not in PERMANENT for hop in hops):
        message = f"redirected to {to}, not for good"
        remedy = "nothing, if the host means it so: a reader's browser asks at both addresses"
        return image_finding(named, "redirected", Severity.NOTE, message, remedy, state=state)
    message = f"moved for good to {to}"
    is_other = any(named.true and plan.compare_size(use.declared, named.true) is SizeMatch.OTHER for use in named.uses)
    if shared_by > 1 or is_other:
        message += ", as are other addresses" if shared_by > 1 else ", where the picture is of another shape"
        remedy = f"look at it: if it is the picture that is meant, write {to}"
        return image_finding(named, "redirected", Severity.WARNING, message, remedy, state=state)
    changes = [Correction(use.place, url=target) for use in named.uses]
    remedy = remedies.address(target, is_fixable=True)
    return image_finding(named, "redirected", Severity.WARNING, message, remedy, state=state, changes=changes)


def tracker(named: AuditedImage, state: UrlState | None) -> Finding:
    """A picture of one pixel on another host."""
    message = "the picture is a single pixel: it is there to count readers"
    return image_finding(named, "tracker", Severity.WARNING, message, remedies.TRACKER, state=state)


def shared_placeholder(named: AuditedImage, message: str, severity: Severity = Severity.ERROR) -> Finding:
    """A picture that stands for others."""
    return image_finding(named, "placeholder", severity, message, remedies.CARD, state=UrlState.SUSPECT)


def certificate(host: str, ends: float, now: float, uses: Sequence[ImageUse]) -> Finding:
    """A host whose certificate ends soon."""
    verb = "ends" if ends > now else "ended"
    message = f"{clean_text(host, 100)}: its certificate {verb} on {health.format_day(ends)}"
    return uses_finding(uses, "certificate-expiring", Severity.WARNING, message, remedies.CERTIFICATE)


def unreadable(problem: Problem) -> Finding:
    """An article that cannot be read."""
    return places_finding(list(problem.references), problem.code, problem.severity, problem.message, remedies.ARTICLE)


def no_network(tried: int) -> Finding:
    """A run in which nothing answered."""
    message = (
        f"none of the hosts of {plural(tried, 'image')} answered: nothing is said of them, and nothing was recorded"
    )
    return places_finding([], "no-network", Severity.ERROR, message, remedies.NETWORK)


def quarantined(named: AuditedImage, code: str, message: str) -> Finding:
    """An image whose newer picture waits for a decision."""
    return image_finding(named, code, Severity.WARNING, message, remedies.QUARANTINE)
