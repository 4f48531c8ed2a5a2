"""What an edge's own metrics tell of its requests to the origin."""

from prometheus_client.parser import text_string_to_metric_families

from edge.cli.streams.address import Address
from edge.cli.streams.client import Ask, Client
from edge.cli.streams.exit_faults import Exit, Fault

_FAMILY = "ds_edge_origin_requests"


def origin_reads(address: Address) -> float:
    """Requests to the origin so far, but for writes. Raises Fault."""
    client = Client(address)
    try:
        with client.once(Ask("GET", {}, {})) as answer:
            text = b"".join(answer.pieces()).decode("utf-8", "replace")
    except Fault as fault:
        raise Fault(fault.exit_code, f"--metrics: {fault}") from None
    finally:
        client.close()
    return _reads(text)


def _reads(text: str) -> float:
    try:
        families = {one.name: one for one in text_string_to_metric_families(text)}
        samples = families[_FAMILY].samples
    except (ValueError, KeyError):
        raise Fault(Exit.FAILED, "--metrics: these are not an edge's metrics") from None
    return sum(
        one.value
        for one in samples
        if one.name == f"{_FAMILY}_total" and one.labels.get("purpose") != "write"
    )
