"""Where traces go: an address that is checked, and packages that must be there."""

from pathlib import Path

import pytest

from edge.core.tracing import Trust
from edge.settings import Settings, tracing
from edge.settings.load import load
from edge.settings.problems import SettingsError

ENDPOINT = "http://collector:4318/v1/traces"


def loaded(folder: Path, text: str) -> Settings:
    path = folder / "edge.yaml"
    path.write_text(f"tracing:\n{text}")
    return load(path)


def test_traces_are_off_unless_there_is_an_endpoint(tmp_path: Path) -> None:
    assert load(None).tracing.endpoint is None
    assert loaded(tmp_path, "  sample: full\n").tracing.endpoint is None


def test_all_that_is_set_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "is_installed", lambda: True)
    text = (
        f"  endpoint: {ENDPOINT}\n  headers: {{X-Api-Key: s3cret}}\n  clients: obey\n"
    )
    found = loaded(tmp_path, text + "  sample: sampled 1/7\n").tracing
    assert (found.endpoint, found.sample, found.clients) == (ENDPOINT, 7, Trust.OBEY)
    assert found.plain_headers == (("x-api-key", "s3cret"),)
    assert "s3cret" not in repr(found)


def test_without_the_packages_the_place_is_named_and_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "is_installed", lambda: False)
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, f"  sample: full\n  endpoint: {ENDPOINT}\n")
    told = str(caught.value)
    assert "edge.yaml:3" in told and "tracing.endpoint" in told
    assert "pip install 'durable-streams-edge[otel]'" in told


def test_packages_that_nobody_has_are_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracing, "_NEEDED", "nobody.has.this")
    assert not tracing.is_installed()


@pytest.mark.parametrize(
    "wrong", ["collector:4318", "ftp://a/b", "http://me:s3cret@collector/v1/traces"]
)
def test_an_endpoint_that_is_none_is_refused_and_not_repeated(
    tmp_path: Path, wrong: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, f"  endpoint: {wrong}\n")
    assert "tracing.endpoint" in str(caught.value)
    assert "s3cret" not in str(caught.value)
