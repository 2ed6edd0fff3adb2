"""What an `<img>` becomes: a choice of local files at the same place and size."""

from __future__ import annotations

import re

import msgspec
import pytest

from imgcache.publisher.rewrite import File, FileKind, Options
from tests.publisher.rewrite.support import HOST, PLACEHOLDER, SITE, held, image, local, rewritten

A = f"{HOST}/a.jpg"
PLAIN = msgspec.structs.replace(SITE, placeholder=False)


def body(text: str) -> str:
    return f"<!doctype html><html><head><title>x</title></head><body>{text}</body></html>"


def tags(page: str, name: str = "img") -> list[dict[str, str]]:
    return [
        {found[0]: found[1] or found[2] for found in re.findall(r"""([a-z-]+)=(?:"([^"]*)"|([^\s>]*))""", tag)}
        for tag in re.findall(rf"<{name}\b[^>]*>", page)
    ]


def first(text: str, options: Options = PLAIN, **made: object) -> dict[str, str]:
    return tags(rewritten(body(text), held("a.jpg", **made), options=options))[0]


def srcset(name: str, form: str = "webp") -> str:
    return ", ".join(f"{local(name, f'w{width}.{form}')} {width}w" for width in (320, 640, 1280))


def test_an_image_offers_the_widths_that_are_held_at_the_size_of_the_true_image() -> None:
    assert first(f"<aside><img src={A} alt=x></aside>") == {
        "src": local("a.jpg", "w1280.webp"),
        "alt": "x",
        "srcset": srcset("a.jpg"),
        "sizes": "(max-width: 1600px) 100vw, 1600px",
        "width": "1600",
        "height": "900",
        "data-imgcache": "width height size",
        "decoding": "async",
        "style": "contain-intrinsic-size:1600px 900px;--imgcache-ratio:1600/900",
    }


def test_the_first_large_image_of_the_main_content_is_loaded_first_and_those_after_it_late() -> None:
    page = body(
        f"<header><img src={A}></header><main><img src={A} width=32><p><img src={A}><p><img src={A}></main>"
        f"<footer><img src={A}></footer>"
    )
    found = tags(rewritten(page, held("a.jpg")))
    assert [(tag.get("loading"), tag.get("fetchpriority")) for tag in found] == [
        (None, None),
        (None, None),
        (None, "high"),
        ("lazy", None),
        ("lazy", None),
    ]
    assert [tag["sizes"].startswith("auto, ") for tag in found] == [False, False, False, True, True]


def test_what_the_author_wrote_stays() -> None:
    written = (
        'loading="lazy" decoding="sync" width="300" height="100" sizes="50vw" style="border:0" fetchpriority="low"'
    )
    tag = first(f'<main><img src="{A}" {written}></main>')
    assert {name: tag[name] for name in ("loading", "decoding", "width", "height", "sizes", "fetchpriority")} == {
        "loading": "lazy",
        "decoding": "sync",
        "width": "300",
        "height": "100",
        "sizes": "50vw",
        "fetchpriority": "low",
    }
    assert tag["style"].startswith("border:0;contain-intrinsic-size:")
    assert tag["data-imgcache"] == "size"


@pytest.mark.parametrize(
    ("written", "added"),
    [
        ("width=400", {"height": "225", "data-imgcache": "height size"}),
        ("height=90", {"width": "160", "data-imgcache": "width size"}),
        ('width="100%"', {"data-imgcache": "size"}),
        ("width=400px", {"height": "225", "data-imgcache": "height size"}),
    ],
)
def test_a_missing_side_has_the_shape_of_the_image(written: str, added: dict[str, str]) -> None:
    tag = first(f"<img src={A} {written}>")
    assert {name: tag[name] for name in added} == added
    assert ("height" in tag) == ("height" in added or "height" in written)


def test_a_choice_of_one_author_is_kept_and_the_images_in_it_are_not_resized() -> None:
    page = body(f'<img srcset="{A} 800w" sizes="9em" src={A}>')
    tag = tags(rewritten(page, held("a.jpg")))[0]
    assert tag["srcset"] == f"{local('a.jpg', 'original.jpeg')} 800w"
    assert tag["sizes"] == "9em"
    assert "width" not in tag


def test_several_formats_stand_in_a_picture_without_a_box_of_its_own() -> None:
    page = rewritten(body(f"<p><img src={A}></p>"), held("a.jpg", formats=("avif", "webp")))
    assert tags(page, "picture") == [{"data-imgcache": "formats", "style": "display:contents"}]
    assert tags(page, "source") == [
        {
            "type": "image/avif",
            "srcset": srcset("a.jpg", "avif"),
            "sizes": "(max-width: 1600px) 100vw, 1600px",
            "style": "display:none",
        }
    ]
    assert tags(page)[0]["srcset"] == srcset("a.jpg")
    without = rewritten(
        body(f"<p><img src={A}></p>"),
        held("a.jpg", formats=("avif", "webp")),
        options=msgspec.structs.replace(SITE, picture=False),
    )
    assert "<picture" not in without
    assert tags(without)[0]["srcset"] == srcset("a.jpg")


def test_the_end_tag_of_xhtml_stays_with_its_image() -> None:
    page = rewritten(body(f"<p><img src='{A}'></img></p>"), held("a.jpg", formats=("avif", "webp")))
    assert "</img></picture></p>" in page


def test_a_small_image_of_one_file_needs_no_choice() -> None:
    tag = first(f"<img src={A}>", width=150, height=100)
    assert tag == {
        "src": local("a.jpg", "w150.webp"),
        "width": "150",
        "height": "100",
        "data-imgcache": "width height size",
        "decoding": "async",
        "loading": "lazy",
        "style": "contain-intrinsic-size:150px 100px;--imgcache-ratio:150/100",
    }


def test_an_animation_moves() -> None:
    still = File("aa/x/w320.webp", 320, 180, "webp", 1)
    moving = msgspec.structs.replace(image(original="gif", moves=True, formats=()), files=(still,))
    page = rewritten(body(f"<img src={A}><p style='background:url({A})'>"), {A: moving})
    assert "w320.webp" not in page
    assert page.count(local("a.jpg", "original.gif")) == 2


def test_colour_and_placeholder_stand_behind_an_image_as_far_as_it_reaches() -> None:
    behind = (
        f"background-image:url({PLACEHOLDER}),linear-gradient(#aabbcc,#aabbcc);background-origin:content-box;"
        "background-size:100% 100%;background-repeat:no-repeat"
    )
    assert behind in first(f"<img src={A}>", SITE)["style"]
    assert "#aabbcc" not in first(f"<img src={A} style='Background: red'>", SITE)["style"]
    assert "style" not in first(f"<img src={A}>", msgspec.structs.replace(SITE, styles=False))


def test_a_page_whose_policy_forbids_styles_gets_none() -> None:
    policy = "<meta http-equiv=Content-Security-Policy content=\"default-src 'self'\">"
    page = body(f"{policy}<img src={A}><img src={A}>")
    changed = rewritten(page, held("a.jpg", formats=("avif", "webp")))
    assert "style" not in changed
    assert "<picture" not in changed
    assert {tag["sizes"] for tag in tags(changed)} == {"1600px"}, "else the image would be shown at another size"


def test_the_rule_comes_before_every_other_style_sheet_and_after_the_encoding() -> None:
    head = "<meta charset=utf-8><title>x</title>"
    for sheet in ("<link rel=stylesheet href=/x.css>", "<style>p{}</style>", "", "<script></script>"):
        page = f"<!doctype html><html><head>{head}{sheet}</head><body><img src={A}></body></html>"
        changed = rewritten(page, held("a.jpg"))
        assert changed.count('<style data-imgcache="layout">') == 1
        before, after = changed.split('<style data-imgcache="layout">')
        assert head in before
        assert sheet in (before if sheet.startswith("<script") else after)


@pytest.mark.parametrize("page", ["<title>x</title><p>{}", "x{}", "<body class=x>{}", "<!doctype html><html>{}"])
def test_pages_without_a_head_tag_get_the_rule_too(page: str) -> None:
    assert rewritten(page.format(f"<img src={A}>"), held("a.jpg")).count("@layer") == 1


def test_a_preload_asks_for_what_the_image_asks_for() -> None:
    page = f'<!doctype html><head><link rel="preload" as="image" href="{A}"></head><body><main><img src="{A}"></main>'
    changed = rewritten(page, held("a.jpg"))
    assert tags(changed, "link")[0] == {
        "rel": "preload",
        "as": "image",
        "href": local("a.jpg", "w1280.webp"),
        "imagesrcset": srcset("a.jpg"),
        "imagesizes": tags(changed)[0]["sizes"],
    }


@pytest.mark.parametrize(
    ("path", "up"),
    [("index.html", ""), ("a/b/c/index.html", "../../../"), ("a/page.html", "../"), ("404.html", "/blog/")],
)
def test_addresses_work_below_any_path(path: str, up: str) -> None:
    page = rewritten(body(f"<p style='background:url({A})'>"), held("a.jpg"), path=path)
    assert local("a.jpg", "original.jpeg", up) in page


@pytest.mark.parametrize(
    ("base", "up"),
    [("/blog/", ""), ("/blog/x/y/", "../../"), ("../", ""), ("https://site.example/blog/z/", "../")],
)
def test_addresses_start_where_the_base_says(base: str, up: str) -> None:
    page = f'<!doctype html><base href="{base}"><p style="background:url({A})">'
    assert f"url({local('a.jpg', 'original.jpeg', up)})" in rewritten(page, held("a.jpg"))


def test_files_that_are_published_elsewhere() -> None:
    options = Options(assets_url="https://cdn.example/i")
    page = rewritten(f"p{{background:url({A})}}", held("a.jpg"), FileKind.CSS, "x/y.css", options)
    assert page == f"p{{background:url({local('a.jpg', 'original.jpeg', 'https://cdn.example/i/')})}}".replace(
        "i/assets/imgcache", "i"
    )


def test_what_has_to_be_absolute_waits_for_the_address_of_the_site() -> None:
    page = f'<!doctype html><meta property="og:image" content="{A}">'
    assert rewritten(page, held("a.jpg"), options=Options()) == page


@pytest.mark.parametrize(
    ("sheet", "is_wrapped"),
    [
        ("", True),
        ("img { max-width: 100% } .post img:hover { outline: 1px }", True),
        ("p > img { width: 100px }", False),
        ("@media (width > 1px) { /* > */ .a, p>img:hover{width:1px} }", False),
        ("div > img, a:first-child, ul > li { color: red }", True),
        ("p > * { margin: 0 }", False),
        ("img + em { color: red }", False),
        ("img:only-child { width: 5px }", False),
        ("p:has(> img) { width: 5px }", False),
        ("[title='a > img'] { color: red } .x { content: 'p > img {' }", True),
        ("p > img:unknown-thing(2) { color: red }", False),
        ("@import url(https://cdn.example/theme.css) screen; p { color: red }", False),
        ("@import '//cdn.example/theme.css';", False),
        ("@import \"/theme.css\"; @import url( 'https://site.example/blog/x.css' );", True),
        ("@import url(https://fonts.example/css2?family=x); /* @import 'https://cdn.example/x.css'; */", True),
    ],
)
def test_no_picture_stands_around_an_image_that_a_rule_matches_by_its_place(sheet: str, is_wrapped: bool) -> None:
    several = held("a.jpg", formats=("avif", "webp"))
    page = rewritten(f"<head><style>{sheet}</style></head><body><p class=x><img src={A}></p></body>", several)
    assert ("<picture" in page) is is_wrapped
    assert local("a.jpg", "w320.webp") in page


@pytest.mark.parametrize(
    ("href", "is_wrapped"),
    [
        ("https://cdn.example/theme.css", False),
        ("https://fonts.example/css2?family=x", True),
        ("https://site.example/blog/style.css", True),
        ("/style.css", True),
    ],
)
def test_no_picture_stands_on_a_page_with_a_style_sheet_that_cannot_be_read(href: str, is_wrapped: bool) -> None:
    page = f"<head><link rel=stylesheet href={href}></head><body><p><img src={A}></p></body>"
    changed = rewritten(page, held("a.jpg", formats=("avif", "webp")))
    assert ("<picture" in changed) is is_wrapped


def test_the_style_sheets_of_the_folder_count_on_every_page() -> None:
    options = msgspec.structs.replace(SITE, structural=("p > img",))
    changed = rewritten(f"<p><img src={A}></p>", held("a.jpg", formats=("avif", "webp")), options=options)
    assert "<picture" not in changed
