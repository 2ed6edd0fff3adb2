"""docs/reference/http.md: the routes of `imgcache serve` and its metrics."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families

from imgcache.server import admission, query
from imgcache.server.metrics import Metrics, State
from imgcache.server.negotiation import FORMATS

ROUTES = {
    "/image": (
        "A variant of an image that is held",
        (
            "The smallest variant that is at least `w` wide, else the largest. The original is one of the candidates"
            " where it is of a kind that browsers show safely. Without `format`, the best format that `Accept` takes,"
            " with `Vary: Accept`. An image that is not held: 404, or with"
            " [`serve.fallback: placeholder`](configuration.md#servefallback) a drawn image with status 404."
        ),
    ),
    "/assets/": (
        "The files of the cache folder",
        "`Cache-Control: public, max-age=31536000, immutable`: a file never changes once it is written.",
    ),
    "/manifest.json": (
        "The manifest",
        "What [manifest.json](cache.md#manifestjson) has at this moment. `Cache-Control: public, max-age=5`.",
    ),
    "/healthz": (
        "Whether the endpoint works",
        '200 with `{"status": "ok", "images": N}`; 503 with `unreadable` or `unreachable` where manifest.json cannot be'
        " read or the object store does not answer.",
    ),
    "/metrics": ("Metrics for Prometheus", "In the text format; the [families](#metrics) are listed below."),
    "/": (
        "The gallery",
        "For people: every image with its state. [`serve.gallery`](configuration.md#servegallery) says who sees it;"
        " others get 404.",
    ),
    "/gallery/": ("Pages and files of the gallery", "As `/`."),
}
_PARAMETERS = {
    "url": "The address of the image, as the articles have it, percent-encoded. Required.",
    "w": f"The width that is needed, in pixels, from 1 to {query.MAX_WIDTH}.",
    "format": "One of " + ", ".join(f"`{name}`" for name in sorted(FORMATS)) + ".",
}
_INTRODUCTION = """\
# The endpoint

`imgcache serve` answers GET and HEAD. It never fetches an image and changes nothing. A web server or CDN stands before it
where it is public: [publishing](../publishing.md).

## Routes

| path | what it answers |
|---|---|
"""
_RULES = f"""\
## Rules for all routes

- Every answer has `ETag` or `Cache-Control: no-store`; `If-None-Match`, `Range` and `If-Range` work as RFC 9110 says.
- Every image has `X-Content-Type-Options: nosniff` and a `Content-Security-Policy` that lets nothing run.
- An error is a JSON object `{{"error": CODE, "status": STATUS, "message": TEXT}}`, or a page where `Accept` prefers HTML.
- 400: the query is wrong, or an HTTP/1.1 request has not exactly one `Host`. 404: unknown. 405: another method than GET
  and HEAD. 414: path and query have more than {admission.MAX_TARGET:,} bytes. 416: the range is outside of the file. 503:
  the object store does not answer, with `Retry-After`.

## Metrics

| metric | type | labels | meaning |
|---|---|---|---|
"""


def page() -> str:
    """Returns the page."""
    lines = [_INTRODUCTION + "\n".join(f"| `{path}` | {ROUTES[path][0]} |" for path in routes())]
    lines.append("")
    for path in routes():
        lines += [f"### GET {path}", "", ROUTES[path][1], ""]
        if path == "/image":
            lines += ["```text", "GET /image?url=URL[&w=WIDTH][&format=FORMAT]", "```", ""]
            lines += ["| parameter | value |", "|---|---|"]
            lines += [*(f"| `{name}` | {text} |" for name, text in _PARAMETERS.items()), ""]
    return "\n".join(lines) + "\n" + _RULES + "\n".join(metrics()) + "\n"


def routes() -> list[str]:
    """Returns the paths that the endpoint routes, those with something below them with a slash at the end."""
    found = {*admission.ROUTES, *admission.FOLDERS}
    if found != set(ROUTES):
        raise SystemExit(f"{__file__}: describe {found ^ set(ROUTES)}, or remove it")
    return list(ROUTES)


def metrics() -> Iterator[str]:
    """Yields a row for each family of metrics."""
    counters = Metrics()
    counters.count("image", 200, 1, 0.001)
    text = counters.render(State(1, 1, is_readable=True, last_run=0.0, failures={"dns": 1})).decode()
    for family in sorted(text_string_to_metric_families(text), key=lambda family: family.name):
        labels = sorted({name for sample in family.samples for name in sample.labels} - {"le"})
        shown = ", ".join(f"`{name}`" for name in labels)
        name = family.name + ("_total" if family.type == "counter" else "")
        yield f"| `{name}` | {family.type} | {shown} | {family.documentation} |"
