"""Which file of an image fits which place, from what manifest.json says."""

from __future__ import annotations

import pickle

import msgspec
import pytest

from imgcache.core import ConfigError
from imgcache.manifest import ManifestEntry, ManifestVariant
from imgcache.publisher.rewrite import FileKind, held, offers, rewrite
from tests.publisher.rewrite.support import HOST, PLACEHOLDER, SITE, run

A = f"{HOST}/a.jpg"
AT = "assets/ab/" + "ab" * 32


def variant(name: str, width: int, height: int, form: str, size: int, frames: int = 1) -> ManifestVariant:
    return ManifestVariant(name, width, height, form, size, f"{AT}/{name}.{form}", frames)


def entry(*variants: ManifestVariant, media_type: str = "image/jpeg", frames: int = 1) -> ManifestEntry:
    return ManifestEntry(
        digest="ab" * 32,
        media_type=media_type,
        width=2000,
        height=1000,
        bytes=900_000,
        color="#102030",
        placeholder=PLACEHOLDER,
        original=f"{AT}/original.{media_type.rsplit('/', 1)[-1]}",
        variants=variants,
        frames=frames,
    )


WEBP = [variant(f"w{width}", width, width // 2, "webp", width * 20) for width in (320, 640, 1280)]
CROPPED = variant("square", 300, 300, "webp", 10)
THUMB = variant("thumb", 320, 160, "jpeg", 9000)


def names(files: tuple[offers.File, ...]) -> list[str]:
    return [file.path.rsplit("/", 1)[-1] for file in files]


def offered(made: ManifestEntry, automatic: tuple[str, ...] = ()) -> offers.Held:
    found = held(A, made, automatic)
    assert found is not None
    return found


def test_a_choice_is_of_one_picture_in_one_format() -> None:
    assert [names(files) for files in offers.choices(offered(entry(*WEBP, CROPPED, THUMB)))] == [
        ["w320.webp", "w640.webp", "w1280.webp"]
    ]
    avif = variant("small", 320, 160, "avif", 5)
    assert [names(files) for files in offers.choices(offered(entry(*WEBP, avif)))] == [
        ["small.avif"],
        ["w320.webp", "w640.webp", "w1280.webp"],
    ]
    assert [names(files) for files in offers.choices(offered(entry(THUMB)))] == [["thumb.jpeg", "original.jpeg"]]


def test_where_the_size_counts_the_file_has_the_true_size() -> None:
    made = offered(entry(*WEBP, THUMB))
    assert offers.exact(made).width == 2000
    full = variant("full", 2000, 1000, "webp", 5)
    assert names((offers.exact(offered(entry(*WEBP, full))),)) == ["full.webp"]
    assert names((offers.exact(offered(entry(*WEBP, full)), "image/jpeg"),)) == ["original.jpeg"]


def test_other_programs_get_what_they_read_at_about_1200_pixels() -> None:
    share = variant("share", 1280, 640, "jpeg", 90_000)
    assert names((offers.shared(offered(entry(*WEBP, THUMB, share))),)) == ["share.jpeg"]
    assert names((offers.shared(offered(entry(*WEBP, THUMB))),)) == ["original.jpeg"]
    assert names((offers.shared(offered(entry(*WEBP, THUMB, media_type="image/webp"))),)) == ["thumb.jpeg"]
    assert names((offers.icon(offered(entry(*WEBP, media_type="image/png"))),)) == ["original.png"]


def test_an_original_that_browsers_do_not_show_is_never_offered() -> None:
    made = offered(entry(*WEBP, media_type="image/tiff"))
    assert made.original is None
    assert offers.exact(made).width == 1280
    assert held(A, entry(media_type="image/tiff")) is None


def test_a_still_of_an_animation_is_shown_only_where_the_site_says_so() -> None:
    moving = [variant(f"w{width}", width, width // 2, "webp", width, 9) for width in (320, 640)]
    made = offered(entry(*moving, THUMB, media_type="image/gif", frames=9))
    assert made.moves
    assert [names(files) for files in offers.choices(made)] == [["w320.webp", "w640.webp"]]
    assert names((offers.shared(made),)) == ["original.gif"]
    still = offered(entry(*WEBP, media_type="image/gif", frames=9))
    assert not still.moves


def test_colours_stand_only_behind_pictures_that_cover_them() -> None:
    assert offered(entry(*WEBP)).color == "#102030"
    assert offered(entry(*WEBP, media_type="image/png")).color == ""
    assert offered(entry(THUMB, media_type="image/png"), ("thumb",)).placeholder == PLACEHOLDER


@pytest.mark.parametrize("change", [{"original": "../secret.jpg"}, {"color": "red;}"}, {"placeholder": "javascript:x"}])
def test_a_damaged_manifest_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="verify --repair"):
        held(A, msgspec.structs.replace(entry(*WEBP), **change))


def test_everything_can_be_sent_to_another_process() -> None:
    images = {A: offered(entry(*WEBP))}
    page = f"<!doctype html><p><img src={A}>".encode()
    done = run(page, images)
    assert done.rewritten == 1
    assert pickle.loads(pickle.dumps((images, SITE, done))) == (images, SITE, done)
    assert rewrite(page, "post/index.html", FileKind.HTML, pickle.loads(pickle.dumps(images)), SITE) == done
