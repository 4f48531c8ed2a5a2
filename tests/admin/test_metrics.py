"""Counters and gauges as a page in Prometheus' text format."""

import math
from typing import Any

from falcon import testing

from edge.admin.app import create_admin_app
from edge.admin.metrics import Metrics, exposition
from edge.core.counters import DESCRIPTIONS, Counters
from edge.core.node_counters import requests_per_delivery
from edge.core.values import Purpose


def page_of(counters: Counters) -> Any:
    """The page that a scraper gets."""
    routes = Metrics(counters, lambda: {"viewers": 2.0}).routes()
    return testing.TestClient(create_admin_app(routes, None)).get("/metrics")


def test_every_counter_is_in_the_metrics() -> None:
    """By the name and with the help of its description (E55)."""
    page = page_of(Counters())

    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    for described in DESCRIPTIONS:
        assert f"# HELP ds_edge_{described.name}_total {described.help}" in page.text
    assert "ds_edge_viewers 2.0" in page.text
    assert "process_resident_memory_bytes" in page.text


def test_a_labelled_counter_has_a_line_for_each_label() -> None:
    """And nothing is registered while requests are served: it is all read here."""
    counters = Counters()
    counters.client_faults["bad-offset"] += 2
    page = exposition(Metrics(counters, dict)).decode()

    assert 'ds_edge_client_faults_total{reason="bad-offset"} 2.0' in page


def test_the_number_that_tells_whether_the_edge_does_its_job() -> None:
    """Requests for reads, for each answer delivered; writes are no part of it."""
    counters = Counters()
    assert math.isnan(requests_per_delivery(counters.snapshot()))
    counters.delivered = 100
    counters.origin_requests[Purpose.FOLLOW.value] = 1
    counters.origin_requests[Purpose.WRITE.value] = 50

    assert requests_per_delivery(counters.snapshot()) == 0.01
    assert "ds_edge_origin_requests_per_delivery 0.01" in page_of(counters).text
