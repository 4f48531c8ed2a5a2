"""How each kind of value is told in JSON Schema: the text of a settings file, and the
numbers and words for which a parser of YAML takes some of it.

Never stricter than ``fields``: an editor must not blame what is right. Where a regular
expression cannot tell all, it lets more through, and ``ds-edge check`` has the last
word. Pure; used by ``fields``, ``access`` and ``asked_ways``.
"""

from typing import Any

from pydantic import WithJsonSchema

Fragment = dict[str, Any]

MAX_SECONDS = 315_360_000
"""Ten years."""

_NUMBER = r"[0-9]{1,19}(\.[0-9]{1,340})?"
_UNITS = ("d", "h", "m", "s", "ms")
_PARTS = "".join(rf"({_NUMBER}{unit})?" for unit in _UNITS)
_SPAN = rf"({_NUMBER}|(?=[0-9]){_PARTS})"
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_HOST = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,253}"
_AUTHORITY = rf"(\[[0-9A-Fa-f:.]+\]|{_HOST})(:[0-9]{{1,5}})?"
_HTTP = rf"https?://{_AUTHORITY}/?"
_UNIX = r"unix:/.*[^/]"
_LISTEN = rf"((\[[0-9A-Fa-f:.]+\]|({_HOST})?):[0-9]{{1,5}}|{_UNIX})"


def text(pattern: str = "", **more: Any) -> Fragment:
    """Text, which may look like a number or a word to YAML."""
    whole = {"pattern": f"^({pattern})$"} if pattern else {}
    return {"type": ["string", "number", "boolean"], **whole, **more}


def words(pattern: str = "", **more: Any) -> Fragment:
    """Text that looks like nothing else."""
    return {**text(pattern, **more), "type": "string"}


def either(*fragments: Fragment) -> Fragment:
    return {"anyOf": [*fragments]}


def several(item: Fragment) -> Fragment:
    return {"type": "array", "items": item}


def told(fragment: Fragment) -> WithJsonSchema:
    return WithJsonSchema(fragment)


def duration(least: float, whole: bool = False) -> Fragment:
    """Numbers are seconds."""
    zero = r"[0.]*[1-9].*" if least else ".*"
    spelt = words(rf"\s*(?={zero}){_SPAN}\s*")
    if whole or least >= 1:
        seconds = "[0-9]+" if whole else "0+"
        parts = r"(?!0+ms)[0-9]{1,3}(\.[0-9]+)?ms|" + seconds + r"\.0*[1-9][0-9]*s"
        spelt["not"] = {"pattern": rf"^\s*({parts})\s*$"}
    number = {"type": "number", "minimum": least, "maximum": MAX_SECONDS}
    return either({**number, **({"multipleOf": 1} if whole else {})}, spelt)


def size(least: int) -> Fragment:
    """Numbers are bytes."""
    unit = "([KkMmGgTt][Ii]?[Bb]|[Bb])?"
    zero = r"\s*0*(\.0*)? ?[A-Za-z]*\s*"
    spelt = words(rf"\s*(?!{zero}$){_NUMBER} ?{unit}\s*")
    if least > 1:
        spelt["not"] = {"pattern": r"^\s*[0-9]{1,3}(\.[0-9]+)? ?[Bb]?\s*$"}
    return either({"type": "integer", "minimum": least, "maximum": 2**63 - 1}, spelt)


COUNT = either(
    {"type": "integer", "minimum": 1, "maximum": 10_000_000},
    words(r"\+?0*[1-9][0-9]{0,7}"),
)
MAX_PROCESSES = 64


def processes(least: int) -> Fragment:
    """A number of processes: nought may be allowed, and ``auto`` always is."""
    spelt = r"auto|\+?0*([1-9]|[1-5][0-9]|6[0-4])"
    number = {"type": "integer", "minimum": least, "maximum": MAX_PROCESSES}
    return either(number, words(spelt if least else rf"{spelt}|[+-]?0+"))


FLAG = {"enum": [True, False, "true", "false"]}
RATE = words(rf"\s*0*[1-9][0-9]{{0,8}} ?/ ?({_SPAN}|ms|[dhms])\s*")
SHARE = words(r"full|off|\s*(sampled )?1/0*[1-9][0-9]{0,8}\s*")
LISTEN = words(_LISTEN)
PATH = text(minLength=1)


def mapping(properties: Fragment, *required: str) -> Fragment:
    """A mapping with these keys and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": [*required],
        "additionalProperties": False,
    }


_CERTIFICATE = {"cert": PATH, "key": PATH}
LISTENER_TLS = mapping(
    {
        **_CERTIFICATE,
        "more": several(mapping(_CERTIFICATE, *_CERTIFICATE)),
        "client_ca": either(PATH, {"type": "null"}),
        "client_certificates": {"enum": ["optional", "required", None]},
        "min_version": {"enum": ["1.2", "1.3", 1.2, 1.3]},
    },
    *_CERTIFICATE,
)
LISTENER = mapping(
    {
        "address": LISTEN,
        "proxy_protocol": FLAG,
        "tls": either(LISTENER_TLS, {"type": "null"}),
    },
    "address",
)
LISTENERS = either(
    LISTEN, LISTENER, {**several(either(LISTEN, LISTENER)), "minItems": 1}
)
PROXY = words(r"unix|[0-9.]+(/[0-9.]+)?|[0-9A-Fa-f:.]+(/[0-9]+)?")
ORIGIN_URL = words(rf"embedded|{_HTTP}|{_UNIX}")
BASE_URL = words(_HTTP)
HOST_NAME = text(_HOST)
AUTHORITY = text(_AUTHORITY)
CORS_ORIGIN = words(rf"\*|https?://(\*\.)?{_AUTHORITY}/?")
CORS_ORIGINS = either({"const": "*"}, several(CORS_ORIGIN))
HEADER = text(rf"{_TOKEN}{{1,256}}")
MEDIA_RANGE = words(rf"{_TOKEN}{{1,127}}/{_TOKEN}{{1,127}}")
PARAMETER = text(r"[A-Za-z0-9._~-]{1,256}")
NODE_NAME = text(rf"{_TOKEN}{{1,253}}")
GLOB = words(r"/([!$%&'()*+,\-./0-9:;=@A-Z_a-z~]|\{[A-Za-z_][A-Za-z0-9_.-]*\})*")
TAG_TEMPLATE = words(r"([!#-+\--\[\]-z|~]|\{[A-Za-z_][A-Za-z0-9_.-]*\}){1,128}")
STATUS = "[45][0-9]{2}"
STATUSES = several(
    either(
        {"type": "integer", "minimum": 400, "maximum": 599},
        words(rf"{STATUS}(-{STATUS})?"),
    )
)
TOKEN = either(words(r"[!-~]{8,1024}"), {"type": "integer", "minimum": 10_000_000})
FIELD_VALUE = text(r"[!-~]([ \t!-~]*[!-~])?")
CLAIM = text(r"[!-~]{1,256}")
KEY_ID = text(r"[A-Za-z0-9_.-]{1,64}")
VISIBLE = text(r"[!-~]{1,2048}")
SECRET = text(minLength=8)
"""Of 32 bytes or more, which may be eight characters."""
JWKS = words(r".+")
ENDPOINT = words(r"https?://[!-~]+")
_NAMED = text(rf"{_TOKEN}{{1,256}}")
SOURCE = either(
    {"const": "authorization"},
    *(
        {
            "type": "object",
            "properties": {place: _NAMED},
            "required": [place],
            "additionalProperties": False,
        }
        for place in ("query", "cookie")
    ),
)
