"""Addresses to listen at and URLs to speak to."""

import pytest

from edge.settings import addresses
from edge.settings.addresses import ListenAddress


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", ListenAddress("127.0.0.1", 8080)),
        ("localhost:1", ListenAddress("localhost", 1)),
        (":8080", ListenAddress("", 8080)),
        ("0.0.0.0:0", ListenAddress("0.0.0.0", 0)),
        ("[::1]:8080", ListenAddress("::1", 8080)),
        ("[0:0:0:0:0:0:0:1]:8080", ListenAddress("::1", 8080)),
        ("unix:/run/edge.sock", ListenAddress(path="/run/edge.sock")),
        ("unix:///run/edge.sock", ListenAddress(path="/run/edge.sock")),
    ],
)
def test_an_address_to_listen_at(text: str, address: ListenAddress) -> None:
    assert addresses.parse_listen(text) == address
    assert addresses.parse_listen(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8080",
        "127.0.0.1",
        "::1:8080",
        "[::1]",
        "[::g]:80",
        "h:65536",
        "h:-1",
        "h:x",
        "http://h:80",
        "h:80/",
        "u@h:80",
        "unix:",
        "unix:run",
        "unix:/",
        "unix:/a/",
        "unix:/" + "a" * 107,
        "a b:80",
        "-h:80",
        "h:٣",
    ],
)
def test_what_cannot_be_listened_at_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        addresses.parse_listen(text)


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("127.0.0.1:80", "127.0.0.1:80", False),
        ("127.0.0.1:80", "127.0.0.2:80", True),
        ("127.0.0.1:80", "127.0.0.1:81", True),
        ("0.0.0.0:80", "127.0.0.1:80", False),
        (":80", "[::1]:80", False),
        ("127.0.0.1:0", "127.0.0.1:0", True),
        ("unix:/a", "unix:/a", False),
        ("unix:/a", "unix:/b", True),
        ("unix:/a", "127.0.0.1:80", True),
    ],
)
def test_which_addresses_can_be_listened_at_together(
    one: str, other: str, together: bool
) -> None:
    first, second = addresses.parse_listen(one), addresses.parse_listen(other)
    assert first.collides(second) is not together
    assert second.collides(first) is not together


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:4437", "http://127.0.0.1:4437"),
        ("http://origin.internal/", "http://origin.internal"),
        ("HTTPS://o.example", "https://o.example"),
        ("http://[::1]:4437", "http://[::1]:4437"),
        ("unix:/run/origin.sock", "unix:/run/origin.sock"),
    ],
)
def test_an_origin_is_a_base_url_or_a_socket(text: str, url: str) -> None:
    assert addresses.parse_origin(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:4437",
        "ftp://h",
        "http://",
        "http://h:99999",
        "http://h:0",
        "http://h:",
        "http://h/path",
        "http://h?q",
        "http://h#f",
        "http://h?",
        "http://u:hunter2@h",
        "http://hunter2@h",
        "http://h o",
        "http://h\n",
        "unix:x",
        "http://[::g]",
        "http://[::1",
        "http://h\\@x",
        "Embedded",
        "http:h",
    ],
)
def test_what_is_no_origin_is_refused_without_repeating_it(text: str) -> None:
    """A password in a URL must not reach a log by way of an error."""
    with pytest.raises(ValueError, match="expected") as caught:
        addresses.parse_origin(text)

    assert "hunter2" not in str(caught.value)


def test_the_authority_of_a_base_url_has_its_scheme_s_port() -> None:
    assert addresses.authority_of("http://h") == ("h", 80)
    assert addresses.authority_of("https://h") == ("h", 443)
    assert addresses.authority_of("https://[::1]:8443") == ("::1", 8443)
    assert addresses.authority_of("unix:/run/o.sock") is None


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("*", "*"),
        ("https://app.example", "https://app.example"),
        ("HTTPS://App.Example/", "https://app.example"),
        ("https://app.example:443", "https://app.example"),
        ("https://app.example:80", "https://app.example:80"),
        ("http://h:80", "http://h"),
        ("http://h:3000", "http://h:3000"),
        ("https://app.example.", "https://app.example."),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://127.0.0.1:8443", "https://127.0.0.1:8443"),
        ("https://[0::0001]:443", "https://[::1]"),
        ("https://[::1]:8443", "https://[::1]:8443"),
        ("https://*.example", "https://*.example"),
        ("https://*.APP.example:443", "https://*.app.example"),
        ("https://*.app.example:8443", "https://*.app.example:8443"),
    ],
)
def test_a_cors_origin_is_written_as_browsers_write_it(text: str, origin: str) -> None:
    """RFC 6454 section 6.2."""
    assert addresses.parse_cors_origin(text) == origin
    assert addresses.parse_cors_origin(origin) == origin


@pytest.mark.parametrize(
    "text",
    [
        *("", "null", "app.example", "https://", "*.example", "ftp://app.example"),
        *("https://*", "https://*.", "https://*.:443", "https://*.example."),
        *("https://*app.example", "https://a.*.example", "https://*.*.example"),
        *("*://app.example", "https://*.example:*", "https://app.example:*"),
        *("https://*.0.0.1", "https://*.[::1]", "https://[*.::1]", "https://[::g]"),
        *("https://bücher.example", "https://app.example/x", "https://app.example?"),
        *("https://hunter2@app.example", "https://*.hunter2@app.example"),
        *("https://app.example:0", "https://app.example:99999", "https://a b"),
    ],
)
def test_what_no_browser_would_send_is_no_cors_origin(text: str) -> None:
    with pytest.raises(ValueError, match="expected an origin such as") as caught:
        addresses.parse_cors_origin(text)

    assert "hunter2" not in str(caught.value)


def test_a_host_field_is_a_name_with_perhaps_a_port() -> None:
    assert addresses.parse_authority("o.example:8443") == "o.example:8443"
    with pytest.raises(ValueError, match="expected a host name"):
        addresses.parse_authority("o.example/path")
