"""Tags: by which names a stream's answers can be purged, and who is told them (L28)."""

import re
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.streams.routes import Route, TagHeader
from edge.policy.streams.tags import (
    MAX_ORIGIN_TAGS,
    MAX_TAG,
    MAX_TEMPLATES,
    TAG,
    are_handled,
    has_tag,
    stream_tag,
    tags_of,
    told,
)

PATH = "/v1/stream/rooms/blue/log"
BOTH = (TagHeader.SURROGATE_KEY, TagHeader.CACHE_TAG)
ROOMS = Route("/v1/stream/rooms/{room}/**", tags=("rooms", "room-{room}"))
KEYED = Route(response_headers=("surrogate-key", "cache-tag"), tag_headers=BOTH)
paths = st.text("abc/%2C,;~!$&'()*+=:@_-.", max_size=40).map(lambda text: f"/{text}")


def of(route: Route | None, path: str = PATH, **fields: str) -> list[str]:
    named = tuple((name.replace("_", "-"), value) for name, value in fields.items())
    return list(tags_of(route, path, named))


def test_every_stream_has_a_tag_that_anybody_can_compute() -> None:
    """As docs/operating.md says it: with the tools of any system."""
    shell = f"printf %s '{PATH}' | sha256sum | cut -c1-16"
    digest = subprocess.run(shell, shell=True, capture_output=True, text=True).stdout

    assert stream_tag(PATH) == f"stream-{digest.strip()}"
    assert of(None)[0] == stream_tag(PATH)


def test_all_spellings_of_a_path_have_one_tag() -> None:
    assert stream_tag("/a%2Fb%7e") == stream_tag("/a%2fb~") == stream_tag("/a/b~")
    assert stream_tag("/a") != stream_tag("/A")


def test_a_stream_has_the_tags_of_its_routes_templates() -> None:
    """A comma in a segment parts no tags, and what is too long is left out."""
    assert of(ROOMS)[1:] == ["rooms", "room-blue"]
    assert of(ROOMS, "/v1/stream/rooms/a,b/log")[1:] == ["rooms", "room-a%2Cb"]
    assert of(ROOMS, f"/v1/stream/rooms/{'x' * 200}/log")[1:] == ["rooms"]


def test_the_origins_tags_count_each_once_however_they_are_parted() -> None:
    assert of(Route(), surrogate_key="x y  x", cache_tag="y, z,,")[1:] == list("xyz")


def test_of_the_origins_tags_only_so_many_count_and_none_that_is_odd() -> None:
    many = " ".join(f"t{number}" for number in range(1000))
    odd = f'a"b {{c}} \u00e9 {"x" * 129} good'

    assert len(of(Route(), surrogate_key=many)) == 1 + MAX_ORIGIN_TAGS
    assert of(Route(), surrogate_key=odd)[1:] == ["good"]


def test_caches_below_are_told_all_tags_in_the_fields_that_the_settings_name() -> None:
    """With those of the origin, in one field."""
    fields = (("content-type", "text/plain"), ("surrogate-key", "x y"))
    found = dict(told(KEYED, PATH, fields, shared=True))
    tag = stream_tag(PATH)

    assert found == {
        "content-type": "text/plain",
        "Surrogate-Key": f"{tag} x y",
        "Cache-Tag": f"{tag},x,y",
    }


def test_what_not_all_may_keep_has_no_tags_not_even_the_origins() -> None:
    fields = (("content-type", "text/plain"), ("cache-tag", "customer-7"))

    assert told(KEYED, PATH, fields, shared=False) == fields[:1]
    assert not are_handled(Route()) and are_handled(KEYED)


@pytest.mark.parametrize("field", BOTH)
def test_where_only_the_origins_field_is_kept_it_goes_out_as_it_is(
    field: TagHeader,
) -> None:
    """The settings name no field: then the edge adds nothing."""
    route = Route(response_headers=(field.value,))
    fields = ((field.value, "x  y"),)

    assert told(route, PATH, fields, shared=True) == fields


@given(paths, st.text(max_size=300))
def test_no_tag_breaks_a_field(path: str, origins: str) -> None:
    """Whatever a path or an origin says: each is one that can be purged by, and the
    field is never longer than Fastly takes."""
    tags = of(ROOMS, f"/v1/stream/rooms{path}", surrogate_key=origins)

    assert all(TAG.fullmatch(tag) for tag in tags)
    held = f"/v1/stream/rooms{path}", (("surrogate-key", origins),)
    assert all(has_tag(tag, ROOMS, *held) for tag in tags)
    assert not has_tag(tags[0] + "x", ROOMS, *held)
    assert len(set(tags)) == len(tags)
    assert (1 + MAX_TEMPLATES + MAX_ORIGIN_TAGS) * (MAX_TAG + 1) < 16_384
    assert re.fullmatch("stream-[0-9a-f]{16}", tags[0])
