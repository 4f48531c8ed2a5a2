"""Which settings a reload cannot change: what the processes around the worker hold."""

import pytest

from edge.settings import Settings, load
from edge.settings.restart import only_by_restart

HTTP = {"ORIGIN__URL": "http://origin.example"}


def of(**variables: str) -> Settings:
    return load(None, {f"DS_EDGE_{name}": text for name, text in variables.items()})


@pytest.mark.parametrize(
    ("name", "text", "key"),
    [
        ("LISTEN", "127.0.0.1:81", "listen"),
        ("ADMIN__LISTEN", "127.0.0.1:82", "admin.listen"),
        ("WORKERS", "auto", "workers"),
        ("KEEPERS", "0", "keepers"),
        ("RUN_FOLDER", "/run/edge", "run_folder"),
        ("ORIGIN__DATA", "elsewhere", "origin.data"),
        ("ORIGIN__RETENTION_AGE", "1h", "origin.retention_age"),
        ("PUBLIC_URL", "https://streams.example", "public_url"),
        ("ORIGIN__URL", "http://origin.example", "origin.url"),
    ],
)
def test_what_the_master_or_the_embedded_origin_holds(
    name: str, text: str, key: str
) -> None:
    assert only_by_restart(of(), of(**{name: text})) == [key]
    assert only_by_restart(of(**{name: text}), of()) == [key]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ORIGIN__URL", "http://another.example"),
        ("PUBLIC_URL", "https://streams.example"),
        ("LIVE__LINGER", "7s"),
        ("ADMIN__TOKEN", "another-token"),
        ("ROUTES", "[{match: /live/**}]"),
        ("RECYCLE__AFTER_REQUESTS", "7"),
    ],
)
def test_what_a_worker_holds_comes_with_the_next_one(name: str, text: str) -> None:
    assert only_by_restart(of(**HTTP), of(**(HTTP | {name: text}))) == []


def test_all_are_told() -> None:
    after = of(LISTEN="127.0.0.1:81", ORIGIN__DATA="elsewhere")

    assert only_by_restart(of(), after) == ["listen", "origin.data"]
