"""``listen``: one address or several, with what is spoken there. Used by ``schema``.

A mapping in the place of an address has it, and more beside it.
"""

from dataclasses import replace
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, TypeAdapter

from edge.settings import addresses, fields, fragments
from edge.settings.fragments import told
from edge.settings.listener_tls import HasTls


class OneOrMany:
    """Marks a key whose one value may also be written as a list."""


ONE_OR_MANY = OneOrMany()
_LISTEN_KEYS = {"address", "proxy_protocol", "tls"}
_LISTENERS_HINT = (
    f"{addresses.LISTEN_HINT}, or a list of these and of "
    "{address, proxy_protocol, tls}"
)


def _listener(given: object) -> addresses.ListenAddress:
    if not isinstance(given, dict):
        return fields.listen_address(given)
    unknown = set(given) - _LISTEN_KEYS
    if unknown or "address" not in given:
        odd = f"; {min(map(str, unknown))} is not known there" if unknown else ""
        raise ValueError(f"expected {{address, proxy_protocol, tls}}{odd}")
    proxy_protocol = fields.flag(given.get("proxy_protocol", False))
    beside = {"tls": given["tls"]} if "tls" in given else {}
    tls = HasTls.model_validate(beside).tls
    address = fields.listen_address(given["address"])
    return replace(address, proxy_protocol=proxy_protocol, tls=tls)


_SEVERAL: TypeAdapter[tuple[addresses.ListenAddress, ...]] = TypeAdapter(
    tuple[Annotated[addresses.ListenAddress, PlainValidator(_listener)], ...]
)


def _listeners(given: object) -> tuple[addresses.ListenAddress, ...]:
    if not isinstance(given, list | tuple):
        return (_listener(given),)
    if not given:
        raise ValueError(f"expected {_LISTENERS_HINT}")
    return _SEVERAL.validate_python(given)


def _write_listeners(listeners: tuple[addresses.ListenAddress, ...]) -> Any:
    """As short as it may be written."""
    written = [_write_listener(one) for one in listeners]
    plain = len(written) == 1 and isinstance(written[0], str)
    return written[0] if plain else written


def _write_listener(one: addresses.ListenAddress) -> Any:
    beside: dict[str, Any] = {"proxy_protocol": True} if one.proxy_protocol else {}
    if one.tls is not None:
        beside["tls"] = one.tls.model_dump(mode="json", exclude_defaults=True)
    return {"address": str(one), **beside} if beside else str(one)


Listeners = Annotated[
    tuple[addresses.ListenAddress, ...],
    PlainValidator(_listeners),
    PlainSerializer(_write_listeners),
    ONE_OR_MANY,
    told(fragments.LISTENERS),
]
"""Where to listen: one address or several, some with the PROXY protocol or TLS."""
