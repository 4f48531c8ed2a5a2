"""Files, variables and flags to one Settings, or every problem with its place."""

from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from edge.policy.streams.routes import Access, Recreate, Route
from edge.settings import Flag, Settings, SettingsError, load, load_admin
from edge.settings.addresses import ListenAddress
from edge.settings.dump import as_data, as_text
from edge.settings.units import Rate

ORIGIN = {"DS_EDGE_ORIGIN__URL": "http://origin.example"}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``edge.yaml``, named without its folder so that messages can be compared."""
    monkeypatch.chdir(tmp_path)
    return Path("edge.yaml")


def problems(
    path: Path | None = None,
    environ: dict[str, str] | None = None,
    flags: tuple[Flag, ...] = (),
) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(path, environ or {}, flags)
    return [str(problem) for problem in caught.value.problems]


def test_without_any_source_nothing_is_missing() -> None:
    """The edge comes with an origin."""
    assert load(None).origin.embedded


def test_an_empty_file_means_all_defaults(file: Path) -> None:
    file.write_text("")

    assert load(file, ORIGIN) == load(None, ORIGIN)


def test_where_a_running_edge_is_asked_is_told_whatever_else_is_wrong(
    file: Path,
) -> None:
    file.write_text("limits: {head: a lot}\nadmin:\n  listen: 10.0.0.1:9000\n")
    found = load_admin(file, {"DS_EDGE_ADMIN__TOKEN": "s3cret-token"}).admin
    with pytest.raises(SettingsError) as caught:
        load_admin(file, {"DS_EDGE_ADMIN__TOKEN": "short", "DS_EDGE_LISTEN": "?"})
    [problem] = caught.value.problems

    assert (str(found.listen), found.plain_token) == ("10.0.0.1:9000", "s3cret-token")
    assert str(problem).startswith("DS_EDGE_ADMIN__TOKEN: admin.token: ")
    assert load_admin(None, {}) == Settings()


def test_a_section_whose_keys_are_commented_out_means_its_defaults(file: Path) -> None:
    file.write_text("live:\n  # linger: 5s\ncache:\norigin:\n")

    assert load(file, ORIGIN) == load(None, ORIGIN)


def test_what_is_written_arrives_typed(file: Path) -> None:
    file.write_text(
        dedent("""\
        listen: "[::1]:8080"
        public_url: https://streams.example/
        origin:
          url: http://127.0.0.1:4437
          headers: {Authorization: Bearer s3cr3t}
        live: {linger: 500ms, follow_after: 10/1m}
        cache: {memory: 1GiB, closed_max_age: 2m}
        limits: {max_body: 4GB}
        log: {format: text, access: sampled 1/100}
        routes:
          - {match: /feed/*, access: public, recreate: never, compress: false}
          - origin_headers: {X-Key: v}
        """)
    )

    settings = load(file)

    assert settings.listen == (ListenAddress("::1", 8080),)
    assert settings.public_url == "https://streams.example"
    assert settings.origin.plain_headers == (("authorization", "Bearer s3cr3t"),)
    assert settings.live.linger == 0.5
    assert settings.live.follow_after == Rate(10, 60.0)
    assert settings.cache.memory == 2**30
    assert settings.cache.closed_max_age == 120
    assert settings.limits.max_body == 4_000_000_000
    assert settings.log.access == 100
    first, second = settings.route_table
    assert first.access is Access.PUBLIC
    assert first.recreate is Recreate.NEVER
    assert first.compress is False
    assert second == Route(origin_headers=(("x-key", "v"),))


def test_a_key_whose_word_pydantic_has_taken_is_a_key_like_all_others(
    file: Path,
) -> None:
    """``json`` of a route: written so, shown so, misspelt and corrected so."""
    file.write_text("routes: [{json: [Application/*+JSON, text/json]}]")
    made = load(file, environ=ORIGIN)

    assert made.route_table[0].json_types == ("application/*+json", "text/json")
    [route] = yaml.safe_load(as_text(made))["routes"]
    assert route["json"] == ["application/*+json", "text/json"]
    assert as_data(made)["routes"][0]["json"] == route["json"]
    for wrong, told in (
        ("json: [json]", "routes[0].json[0]: expected a media type such as"),
        ("jsn: []", "routes[0].jsn: is not a setting; did you mean routes[0].json?"),
        ("json_types: []", "routes[0].json_types: is not a setting"),
    ):
        file.write_text(f"routes: [{{{wrong}}}]")
        assert told in problems(file)[0]


def test_a_route_that_says_nothing_is_the_default_route() -> None:
    assert load(None, ORIGIN).route_table == (Route(),)


def test_settings_cannot_be_changed() -> None:
    settings = load(None, ORIGIN)

    with pytest.raises(ValueError, match="frozen"):
        settings.workers = 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        # Unknown keys.
        ("lisen: x", "edge.yaml:1: lisen: is not a setting; did you mean listen?"),
        (
            "live:\n  lingr: 5s",
            "edge.yaml:2: live.lingr: is not a setting; did you mean live.linger?",
        ),
        (
            "max_page: 1MiB",
            "edge.yaml:1: max_page: is not a setting; did you mean cache.max_page?",
        ),
        (
            "shutdown: {zzz: 1}",
            "edge.yaml:1: shutdown.zzz: is not a setting; known here: delay, grace",
        ),
        ("cache: {dish: x}", "edge.yaml:1: cache.dish: is not a setting; "),
        ('"\\e[31m": x', "edge.yaml:1: '\\x1b[31m': is not a setting; known here: "),
        # Wrong types.
        ("live: 5s", "edge.yaml:1: live: expected a mapping of settings"),
        ("- listen", "edge.yaml: expected a mapping of settings"),
        ("routes: x", "edge.yaml:1: routes: expected a list, as in [a, b]"),
        ("routes:\n  - x", "edge.yaml:2: routes[0]: expected a mapping of settings"),
        ("routes: []", "edge.yaml:1: routes: expected at least one route"),
        ("routes:", "edge.yaml:1: routes: expected a list, as in [a, b]"),
        (
            "origin: {headers: [a]}",
            "edge.yaml:1: origin.headers: expected a mapping, as in {name: value}",
        ),
        (
            "listen: []",
            "edge.yaml:1: listen: expected host:port, [ipv6]:port, :port or unix:/path,"
            " or a list of these and of {address, proxy_protocol, tls}",
        ),
        (
            "listen: [{address: ':1', proxy: true}]",
            "edge.yaml:1: listen[0]: expected {address, proxy_protocol, tls}; proxy is"
            " not known there",
        ),
        (
            "listen: {proxy_protocol: true}",
            "edge.yaml:1: listen: expected {address, proxy_protocol, tls}",
        ),
        (
            "listen: {address: ':1', proxy_protocol: 1}",
            "edge.yaml:1: listen: expected true or false; got '1'",
        ),
        (
            "listen: [':1', '127.0.0.1:1']",
            "edge.yaml:1: listen: has 127.0.0.1:1 twice",
        ),
        (
            "trusted_proxies: [10.0.0.1/8]",
            "edge.yaml:1: trusted_proxies[0]: expected a network such as 10.0.0.0/8 or"
            " fd00::/8, an address, or unix; got '10.0.0.1/8'",
        ),
        (
            "listen: [8080]",
            "edge.yaml:1: listen[0]: expected host:port, [ipv6]:port, :port or"
            " unix:/path; got '8080'",
        ),
        ("node:\n  name: a b", "edge.yaml:2: node.name: expected a name of letters"),
        ("node: {name: ''}", "edge.yaml:1: node.name: expected a name of letters"),
        ("node: {name: 'a/b'}", "edge.yaml:1: node.name: expected a name of letters"),
        ("node: {name: é}", "edge.yaml:1: node.name: expected a name of letters"),
        (
            "workers: two",
            "edge.yaml:1: workers: expected auto or a whole number from 1 to 64; got "
            "'two'",
        ),
        ("workers: 1.0", "edge.yaml:1: workers: expected auto or a whole number"),
        ("workers: 0", "edge.yaml:1: workers: expected auto or a whole number from 1"),
        ("keepers: -1", "edge.yaml:1: keepers: expected auto or a whole number from 0"),
        ("keepers: [1]", "edge.yaml:1: keepers: expected auto or a whole number from"),
        ("limits: {streams: two}", "edge.yaml:1: limits.streams: expected a whole num"),
        ("limits: {flights: -1}", "edge.yaml:1: limits.flights: expected a whole num"),
        (
            "routes:\n  - compress: yes",
            "edge.yaml:2: routes[0].compress: expected true or false; got 'yes'",
        ),
        (
            "log: {level: loud}",
            "edge.yaml:1: log.level: expected 'debug', 'info', 'warning' or 'error';"
            " got 'loud'",
        ),
        (
            "routes:\n  - match: /x\n    access: jwt",
            "edge.yaml:3: routes[0].access: expected partitioned or public, or a"
            " mapping of ways; got 'jwt'",
        ),
        # Durations and sizes out of their bounds.
        (
            "live:\n\n  linger: -5s",
            "edge.yaml:3: live.linger: expected a duration such as 500ms, 30s, 5m, 1h"
            " or 365d; got '-5s'",
        ),
        (
            "live: {sse_lifetime: 500ms}",
            "edge.yaml:1: live.sse_lifetime: expected a duration of at least 1s;"
            " got '500ms'",
        ),
        (
            "origin: {connect_timeout: 0s}",
            "edge.yaml:1: origin.connect_timeout: expected a duration of at least 1ms;"
            " got '0s'",
        ),
        (
            "cache: {live_max_age: 500ms}",
            "edge.yaml:1: cache.live_max_age: expected whole seconds (HTTP counts no"
            " smaller); got '500ms'",
        ),
        (
            "cache: {verify: 9999999d}",
            "edge.yaml:1: cache.verify: expected a duration of at most 3650d;"
            " got '9999999d'",
        ),
        (
            "cache: {memory: 256M}",
            "edge.yaml:1: cache.memory: expected a size such as 64KiB, 16MiB or 4GB",
        ),
        ("cache: {max_page: 1B}", "edge.yaml:1: cache.max_page: expected a size of at"),
        ("cache: {memory: }", "edge.yaml:1: cache.memory: expected a size such as"),
        (
            "live: {follow_after: 4}",
            "edge.yaml:1: live.follow_after: expected a count within a time, such as"
            " 4/1s; got '4'",
        ),
        # Names of fields and paths.
        (
            "routes:\n  - request_headers: [a, 'b c']",
            "edge.yaml:2: routes[0].request_headers[1]: expected the name of a header"
            " field, such as x-tenant; got 'b c'",
        ),
        (
            "origin:\n  headers:\n    Host: x",
            "edge.yaml:3: origin.headers.Host: the edge writes host itself",
        ),
        *(
            (
                f"routes:\n  - origin_headers:\n      {name}: x",
                f"edge.yaml:3: routes[0].origin_headers.{name}: the edge writes"
                f" {name.lower()} itself",
            )
            for name in ("X-Request-Id", "traceparent", "via", "accept-encoding")
        ),
        (
            "origin: {headers: {a: x, A: y}}",
            "edge.yaml:1: origin.headers: the header field a is written twice",
        ),
        ("routes: [{match: v1/*}]", "edge.yaml:1: routes[0].match: expected a path"),
        ("routes:\n  - match: /v1?x", "edge.yaml:2: routes[0].match: expected a path"),
        (
            "routes: [{cors_origin: https://app.example}]",
            "edge.yaml:1: routes[0].cors_origin: is not a setting; did you mean "
            "routes[0].cors_origins?",
        ),
        (
            "routes:\n- cors_origins:\n  - https://a.b\n  - app.example",
            "edge.yaml:4: routes[0].cors_origins[1]: expected an origin such as",
        ),
        (
            "routes: [{cors_origins: https://app.example}]",
            "edge.yaml:1: routes[0].cors_origins: expected a list, as in [a, b]",
        ),
        (
            "routes: [{cors_origins: ['*', https://app.example]}]",
            'edge.yaml:1: routes[0].cors_origins: "*" is everybody, and stands alone',
        ),
        ("public_url: https://h/x", "edge.yaml:1: public_url: expected http://host"),
        ("origin: {host: a/b}", "edge.yaml:1: origin.host: expected a host name"),
        # The document itself.
        ("a: [", "edge.yaml:1: is not YAML: "),
        ("listen: *x", "edge.yaml:1: aliases are not taken"),
        (
            "listen: :80\nlisten: :81",
            "edge.yaml:2: listen: is written twice; the first is on line 1",
        ),
    ],
)
def test_a_wrong_file_is_told_by_file_line_and_key(
    file: Path, text: str, problem: str
) -> None:
    file.write_text(text)

    found = problems(file, ORIGIN)

    assert any(line.startswith(problem) for line in found), found


def test_all_problems_are_told_at_once_in_the_order_of_the_file(file: Path) -> None:
    file.write_text(
        dedent("""\
        listen: 127.0.0.1:8081
        workers: 65
        lisen: x
        cache:
          memory: much
          max_page: 2MiB
          max_object: 1MiB
        """)
    )

    keys = [line.split(": ")[:2] for line in problems(file)]

    assert keys == [
        ["edge.yaml:1", "admin.listen"],
        ["edge.yaml:2", "workers"],
        ["edge.yaml:3", "lisen"],
        ["edge.yaml:5", "cache.memory"],
        ["edge.yaml:6", "cache.max_page"],
    ]


def test_a_wrong_key_is_not_also_told_by_what_it_does_to_others(file: Path) -> None:
    """``max_page`` fits the max_object that was meant; only the typo is told."""
    file.write_text("cache:\n  max_page: 20MiB\n  max_object: 30MiX\n")

    (line,) = problems(file, ORIGIN)

    assert line.startswith("edge.yaml:3: cache.max_object: expected a size")


PROXIED = ListenAddress("", 2, proxy_protocol=True)
BOTH = "[':1', {address: ':2', proxy_protocol: true}]"


@pytest.mark.parametrize(
    ("written", "listeners"),
    [
        ("':1'", (ListenAddress("", 1),)),
        ("[':1']", (ListenAddress("", 1),)),
        (BOTH, (ListenAddress("", 1), PROXIED)),
        ("{address: ':2', proxy_protocol: true}", (PROXIED,)),
        ("[{address: 'unix:/run/e'}]", (ListenAddress(path="/run/e"),)),
    ],
)  # fmt: skip
def test_there_may_be_several_addresses_to_listen_at(
    file: Path, written: str, listeners: tuple[ListenAddress, ...]
) -> None:
    file.write_text(f"listen: {written}")

    settings = load(file)

    assert settings.listen == listeners
    # What is printed can be loaded again.
    file.write_text(as_text(settings))
    assert load(file).listen == listeners


@pytest.mark.parametrize(
    ("text", "listeners"),
    [
        ("[::1]:3", (ListenAddress("::1", 3),)),
        (BOTH, (ListenAddress("", 1), PROXIED)),
    ],
)  # fmt: skip
def test_a_variable_names_one_address_or_a_list(
    text: str, listeners: tuple[ListenAddress, ...]
) -> None:
    """An address of IPv6 has brackets of its own."""
    assert load(None, {"DS_EDGE_LISTEN": text}).listen == listeners


def test_networks_of_trusted_proxies_are_written_in_one_way() -> None:
    proxies = "[10.0.0.0/8, 192.0.2.1, FD00::/8, unix]"
    settings = load(None, {"DS_EDGE_TRUSTED_PROXIES": proxies})

    assert settings.trusted_proxies == (
        *("10.0.0.0/8", "192.0.2.1/32", "fd00::/8", "unix"),
    )


def test_clients_do_not_call_a_listener_of_the_proxy_protocol() -> None:
    """Its balancer does: nobody else is told that address."""
    one = "[{address: '127.0.0.1:2', proxy_protocol: true}]"
    both = f"{one[:-1]}, '127.0.0.1:1']"

    assert load(None, {"DS_EDGE_LISTEN": one}).known_as is None
    assert load(None, {"DS_EDGE_LISTEN": both}).known_as == "http://127.0.0.1:1"


def test_the_environment_goes_over_the_file_and_flags_over_both(file: Path) -> None:
    file.write_text("{listen: ':1', admin: {listen: ':2'}, log: {level: error}}")
    environ = ORIGIN | {"DS_EDGE_LISTEN": ":3", "DS_EDGE_LOG__LEVEL": "debug"}

    settings = load(file, environ, [Flag("--listen", ("listen",), ":4")])

    assert [one.port for one in settings.listen] == [4]
    assert settings.admin.listen.port == 2
    assert settings.log.level.value == "debug"


def test_variables_are_typed_as_the_file_is() -> None:
    settings = load(
        None,
        ORIGIN
        | {
            "DS_EDGE_LIVE__LINGER": "250ms",
            "DS_EDGE_CACHE__MEMORY": "1GiB",
            "DS_EDGE_LIMITS__MAX_BODY": "null",
            "DS_EDGE_ADMIN__TOKEN": "@1234:#[{",
            "DS_EDGE_ORIGIN__HEADERS": "{authorization: Bearer x}",
            "DS_EDGE_ORIGIN__ADDRESSES": "[http://a, http://b]",
            "DS_EDGE_ROUTES": "[{match: /a/**, access: public}]",
        },
    )

    assert settings.live.linger == 0.25
    assert settings.limits.max_body is None
    assert settings.admin.plain_token == "@1234:#[{"
    assert settings.origin.addresses == ("http://a", "http://b")
    assert settings.origin.plain_headers == (("authorization", "Bearer x"),)
    assert settings.route_table == (Route(match="/a/**", access=Access.PUBLIC),)


def test_a_whole_section_in_a_variable_is_merged_and_its_keys_go_over_it(
    file: Path,
) -> None:
    file.write_text("live: {linger: 1s, sse_keep_alive: 2s, sse_lifetime: 3s}")
    environ = {"DS_EDGE_LIVE": "{linger: 7s, sse_keep_alive: 7s}"}

    settings = load(file, ORIGIN | environ | {"DS_EDGE_LIVE__LINGER": "9s"})

    assert settings.live.linger == 9.0
    assert settings.live.sse_keep_alive == 7.0
    assert settings.live.sse_lifetime == 3.0


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        (
            {"DS_EDGE_LIVE__LINGER": "-1"},
            "DS_EDGE_LIVE__LINGER: live.linger: expected a duration",
        ),
        (
            {"DS_EDGE_LIVE__LINGR": "1s"},
            "DS_EDGE_LIVE__LINGR: names no setting; did you mean DS_EDGE_LIVE__LINGER?",
        ),
        ({"DS_EDGE_XYZ": "1"}, "DS_EDGE_XYZ: names no setting"),
        ({"DS_EDGE_ROUTES": "[{"}, "DS_EDGE_ROUTES:1: is not YAML: "),
        (
            {"DS_EDGE_ROUTES": "- match: /a\n- match: /b\n  access: x"},
            "DS_EDGE_ROUTES:3: routes[1].access: expected partitioned or public",
        ),
        ({"DS_EDGE_LIVE": "5s"}, "DS_EDGE_LIVE: live: expected a mapping of settings"),
        ({"DS_EDGE_LIVE": "{x: 1}"}, "DS_EDGE_LIVE:1: live.x: is not a setting"),
        (
            {"DS_EDGE_LISTEN": ":8081", "DS_EDGE_ADMIN__LISTEN": ":8081"},
            "DS_EDGE_ADMIN__LISTEN: admin.listen: is taken by listen (:8081)",
        ),
    ],
)
def test_a_wrong_variable_is_told_by_its_name(
    environ: dict[str, str], problem: str
) -> None:
    found = problems(None, ORIGIN | environ)

    assert any(line.startswith(problem) for line in found), found


def test_a_wrong_flag_is_told_by_its_name(file: Path) -> None:
    file.write_text("workers: 1")
    flags = (Flag("--workers", ("workers",), "all"),)

    assert problems(file, ORIGIN, flags) == [
        "--workers: workers: expected auto or a whole number from 1 to 64; got 'all'"
    ]


def test_a_variable_over_a_section_that_is_none_tells_of_the_section(
    file: Path,
) -> None:
    file.write_text("live: 5s\n")

    found = problems(file, ORIGIN | {"DS_EDGE_LIVE__LINGER": "1s"})

    assert found == ["edge.yaml:1: live: expected a mapping of settings"]


@pytest.mark.parametrize("service", ["DS_EDGE", "DS_EDGE_METRICS", "DS_EDGE_PORT_A"])
def test_variables_that_kubernetes_makes_for_services_are_left_alone(
    service: str,
) -> None:
    """Beside services that are called ds-edge, ds-edge-metrics and ds-edge-port-a."""
    made = {
        "SERVICE_HOST": "fd00::2",
        "SERVICE_PORT": "8080",
        "SERVICE_PORT_HTTP": "8080",
        "PORT": "tcp://10.0.0.1:8080",
        "PORT_8080_TCP": "tcp://[fd00::2]:8080",
        "PORT_8080_TCP_PROTO": "tcp",
        "PORT_8080_TCP_PORT": "8080",
        "PORT_8080_TCP_ADDR": "10.0.0.1",
    }
    environ = {f"{service}_{name}": value for name, value in made.items()}

    assert load(None, ORIGIN | environ) == load(None, ORIGIN)


@pytest.mark.parametrize("name", ["DS_EDGE_CONFIG", "DS_EDGELESS", "PATH"])
def test_variables_that_are_not_ours_are_left_alone(name: str) -> None:
    assert load(None, ORIGIN | {name: "x"}) == load(None, ORIGIN)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DS_EDGE_PORT", "8080"),
        ("DS_EDGE_ORIGIN_HOST", "10.0.0.1"),
        ("DS_EDGE_ADMIN_SERVICE_HOST", "admin.example"),
        ("DS_EDGE_PORT_8080_TCP_PROTO", "http"),
    ],
)
def test_variables_that_only_look_like_theirs_name_no_setting(
    name: str, value: str
) -> None:
    """A slip must not be taken for what Kubernetes makes."""
    [found] = problems(None, ORIGIN | {name: value})

    assert found.startswith(f"{name}: names no setting")


def test_an_empty_variable_is_as_good_as_none() -> None:
    """Compose files write ``${TOKEN:-}``; that must not undo what the file says."""
    environ = {"DS_EDGE_ADMIN__TOKEN": "", "DS_EDGE_NO_SUCH_KEY": ""}

    assert load(None, ORIGIN | environ) == load(None, ORIGIN)


SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    "text",
    [
        f"admin: {{token: [{SECRET}]}}",
        f"admin: {{token: 'with space {SECRET}'}}",
        f"admin: {{token: {SECRET * 100}}}",
        f"origin: {{headers: {{authorization: ['{SECRET}']}}}}",
        f'origin: {{headers: {{authorization: "a\\n{SECRET}"}}}}',
        f"origin: {{url: http://user:{SECRET}@host}}",
        f"origin: {{addresses: [http://user:{SECRET}@host]}}",
        f"routes: [{{origin_headers: {{x-key: '{SECRET}ä'}}}}]",
        # A list in the place of a mapping, or of a word.
        f"routes: [{{access: [{{k: {{secret: {SECRET}}}}}]}}]",
        f"log: {{level: [{SECRET}]}}",
    ],
)
def test_an_error_never_repeats_a_secret(file: Path, text: str) -> None:
    file.write_text(text)

    with pytest.raises(SettingsError) as caught:
        load(file, {})

    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.problems)


def test_settings_never_show_a_secret() -> None:
    environ = ORIGIN | {
        "DS_EDGE_ADMIN__TOKEN": SECRET,
        "DS_EDGE_ORIGIN__HEADERS": f"{{authorization: Bearer {SECRET}}}",
        "DS_EDGE_ROUTES": f"[{{origin_headers: {{x-key: {SECRET}}}}}]",
    }
    settings: Settings = load(None, environ)

    assert settings.admin.plain_token == SECRET
    assert SECRET not in f"{settings} {settings!r} {settings.route_table}"


def test_a_folder_is_taken_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    origin = load(None).origin

    assert origin.folder == f"{tmp_path}/var/origin"
    assert origin.call_url == f"unix:{tmp_path}/var/origin/origin.sock"


@pytest.mark.parametrize(
    ("listen", "known_as"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("[::1]:80", "http://[::1]:80"),
        (":8080", "http://127.0.0.1:8080"),
        ("127.0.0.1:0", None),
        ("unix:/run/e.sock", None),
    ],
)
def test_an_edge_without_a_public_url_is_known_by_where_it_listens(
    listen: str, known_as: str | None
) -> None:
    assert load(None, {"DS_EDGE_LISTEN": listen}).known_as == known_as


def test_null_is_nothing_in_a_flag_too() -> None:
    flag = Flag("--retention-age", ("origin", "retention_age"), "null")

    assert load(None, {"DS_EDGE_ORIGIN__RETENTION_AGE": "1d"}, [flag]) == load(None)
