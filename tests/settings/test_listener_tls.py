"""TLS at a listener, as it is set: what is read, what is refused, what is said."""

import json
import os
import time
from pathlib import Path

import pytest

from edge.settings import Settings, SettingsError, cross_checks, load
from edge.settings.dump import as_data, as_text
from edge.settings.listener_tls import (
    ClientCertificates,
    TlsSettings,
    names,
    remarks,
    server_context,
)
from edge.settings.problems import key_name
from edge.settings.restart import only_by_restart
from edge.settings.units import DAY
from tests.support.certificates import Authority


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With the files of two certificates, of one authority, and others."""
    authority = Authority(tmp_path)
    for name in ("one.test", "two.test"):
        authority.issue(name)
    authority.issue("locked.test", password=b"secret")
    (tmp_path / "words").write_text("no PEM at all")
    for file in tmp_path.iterdir():
        file.chmod(0o600)
    return tmp_path


def text_of(folder: Path, cert: str, key: str, more: str = "") -> str:
    lines = ["listen:", "- ':1'", "- address: ':2'", "  tls:"]
    lines += [f"    cert: {folder / cert}", f"    key: {folder / key}"]
    return "\n".join([*lines, *(f"    {line}" for line in more.splitlines())]) + "\n"


def loaded(folder: Path, *what: str) -> Settings:
    file = folder / "edge.yaml"
    file.write_text(text_of(folder, *what))
    return load(file)


def secured(settings: Settings) -> TlsSettings:
    tls = settings.listen[1].tls
    assert tls is not None
    return tls


ONE = ("one.test.crt", "one.test.key")
TWO = "- cert: {folder}/two.test.crt\n  key: {folder}/two.test.key"


def test_one_listener_is_plain_and_another_speaks_tls(folder: Path) -> None:
    settings = loaded(folder, *ONE, "min_version: 1.3")
    plain, tls = settings.listen

    assert plain.tls is None and tls.tls is not None
    assert (plain.url, tls.url) == ("http://127.0.0.1:1", "https://127.0.0.1:2")
    assert names(tls.tls.cert) == ["one.test"]


def test_what_is_shown_is_paths_and_loads_again(folder: Path) -> None:
    """And no key, anywhere."""
    more = f"client_ca: {folder}/authority.test.pem\nclient_certificates: optional"
    settings = loaded(folder, *ONE, more)
    again = folder / "again.yaml"
    again.write_text(as_text(settings))
    tls = secured(load(again))

    assert tls == secured(settings)
    assert tls.client_certificates is ClientCertificates.OPTIONAL
    shown = json.dumps(as_data(settings)) + repr(settings) + as_text(settings)
    assert "PRIVATE" not in shown and "CERTIFICATE" not in shown


@pytest.mark.parametrize(
    ("what", "told"),
    [
        (("no.crt", "one.test.key"), "5: listen[1].tls.cert: cannot be read: No such"),
        (("words", "one.test.key"), "5: listen[1].tls.cert: holds no certificate in"),
        (("one.test.crt", "words"), "6: listen[1].tls.key: holds no private key in PE"),
        (
            ("one.test.crt", "two.test.key"),
            "6: listen[1].tls.key: holds a private key that is not the certificate's",
        ),
        (
            ("locked.test.crt", "locked.test.key"),
            "6: listen[1].tls.key: holds a private key that is encrypted",
        ),
        ((*ONE, "min_version: 1.1"), "7: listen[1].tls.min_version: expected '1.2' or"),
        ((*ONE, "keys: a"), "7: listen[1].tls.keys: is not a setting"),
        (
            (*ONE, "client_certificates: required"),
            "7: listen[1].tls.client_certificates: is without client_ca",
        ),
        (
            (*ONE, "client_ca: {folder}/words"),
            "7: listen[1].tls.client_ca: holds no certificate in PEM",
        ),
        (
            (
                *ONE,
                "more:\n- cert: {folder}/two.test.crt\n  key: {folder}/one.test.key",
            ),
            "9: listen[1].tls.more[0].key: holds a private key that is not",
        ),
    ],
)
def test_what_is_wrong_is_told_by_line_and_key(
    folder: Path, what: tuple[str, ...], told: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        loaded(folder, *(word.replace("{folder}", str(folder)) for word in what))
    [problem] = raised.value.problems

    assert str(problem).startswith(f"{folder}/edge.yaml:{told}")


def test_a_certificate_that_ends_soon_is_worth_a_warning(folder: Path) -> None:
    """Those of tests last a day."""
    settings = loaded(folder, *ONE)
    tls = secured(settings)
    [warning] = cross_checks.warnings(settings)
    ends = tls.expires_at

    assert key_name(warning.path) == "listen[1].tls.cert"
    on = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(ends))
    assert warning.message == f"expires within a day, on {on}"
    [(_, why)] = remarks(tls, ends - 5 * DAY)
    assert why == f"expires within 5 days, on {on}"
    assert not list(remarks(tls, ends - 15 * DAY))
    [(path, why)] = remarks(tls, ends + 1)
    assert (path, why) == (("cert",), f"expired on {on}: clients refuse it")


def test_a_key_that_everybody_can_read_is_worth_a_warning(folder: Path) -> None:
    os.chmod(folder / "one.test.key", 0o644)
    settings = loaded(folder, *ONE)

    assert [key_name(one.path) for one in cross_checks.warnings(settings)] == [
        "listen[1].tls.cert",
        "listen[1].tls.key",
    ]


def test_a_reload_may_bring_another_certificate(folder: Path) -> None:
    """And other terms; addresses are the master's."""
    before = loaded(folder, *ONE)
    after = loaded(folder, "two.test.crt", "two.test.key", "min_version: 1.3")

    assert only_by_restart(before, after) == []
    assert only_by_restart(before, load(None, {"DS_EDGE_LISTEN": "[':1', ':3']"})) == [
        "listen"
    ]


def test_a_context_gives_each_name_its_certificate(folder: Path) -> None:
    """The first one is for everybody else; what is in two of them is its own."""
    more = f"more:\n{TWO}".replace("{folder}", str(folder))

    assert server_context(secured(loaded(folder, *ONE, more))).sni_callback is not None
    assert server_context(secured(loaded(folder, *ONE))).sni_callback is None
