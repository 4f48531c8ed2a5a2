"""Counters and gauges as a page in Prometheus' text format."""

import math
from typing import Any

from falcon import testing
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as open_metrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from edge import __version__
from edge.admin.app import create_admin_app
from edge.admin.metrics import Metrics
from edge.core.counters import DESCRIPTIONS, Counters
from edge.core.histograms import HISTOGRAMS, Exemplar
from edge.core.node_counters import requests_per_delivery
from edge.core.values import Purpose


def page_of(counters: Counters, accept: str = "*/*") -> Any:
    """The page that a scraper gets."""
    routes = Metrics(counters, lambda: {"viewers": 2.0}).routes()
    client = testing.TestClient(create_admin_app(routes, None))
    return client.get("/metrics", headers={"Accept": accept})


def test_series_whose_labels_are_known_are_there_from_the_start() -> None:
    """A rate over one that appears with its first count would miss that one."""
    page = page_of(Counters()).text

    for described in DESCRIPTIONS:
        for value in described.values:
            series = f'ds_edge_{described.name}_total{{{described.label}="{value}"}}'
            assert f"{series} 0.0\n" in page, series
    assert 'ds_edge_answers_total{result="hit"} 0.0' in page
    assert 'ds_edge_refusals_total{reason="limit-viewers"} 0.0' in page


def test_every_histogram_is_there_with_all_its_buckets_in_order() -> None:
    """Each bucket counts what lies below it, too, and the last one all."""
    counters = Counters()
    observed = counters.timings.first_byte["catch-up", "miss"]
    for seconds in (0.0005, 0.04, 0.04, 60.0):
        observed.observe(seconds)
    page = page_of(counters).text
    found = list(text_string_to_metric_families(page))
    (family,) = [one for one in found if one.name == "ds_edge_first_byte_seconds"]
    labels = {"mode": "catch-up", "result": "miss"}
    mine = [one for one in family.samples if labels.items() <= one.labels.items()]
    buckets = [one.value for one in mine if one.name.endswith("_bucket")]
    by_name = {one.name.rpartition("_")[2]: one.value for one in mine}

    assert family.type == "histogram"
    assert buckets == sorted(buckets) and (buckets[0], buckets[-1]) == (1, 4)
    assert (by_name["count"], by_name["sum"]) == (4, 60.0805)
    assert {one.name for one in found} >= {f"ds_edge_{h.name}" for h in HISTOGRAMS}
    for described in HISTOGRAMS:
        lines = page.count(f"ds_edge_{described.name}_bucket")
        assert lines == len(described.values) * (len(described.bounds) + 1)


def test_a_scraper_that_takes_open_metrics_gets_them() -> None:
    accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
    page = page_of(Counters(), accept)
    plain = page_of(Counters())

    assert page.headers["content-type"].startswith("application/openmetrics-text")
    assert page.text.endswith("# EOF\n")
    families = list(open_metrics_families(page.text))  # type: ignore[no-untyped-call]
    assert any(one.name == "ds_edge_fan_out_seconds" for one in families)
    assert "# EOF" not in plain.text


def test_a_bucket_shows_the_trace_of_its_last_sampled_request() -> None:
    """In OpenMetrics alone: the older format has no place for it."""
    counters = Counters()
    observed = counters.timings.first_byte["catch-up", "miss"]
    observed.observe(0.04)
    observed.note(Exemplar("1f" * 16, 0.04, 1_800_000_000.5))
    page = page_of(counters, "application/openmetrics-text").text
    families = list(open_metrics_families(page))  # type: ignore[no-untyped-call]
    [family] = [one for one in families if one.name == "ds_edge_first_byte_seconds"]
    [shown] = [one for one in family.samples if one.exemplar is not None]

    labels = {"mode": "catch-up", "result": "miss", "le": "0.05"}
    assert (shown.name, shown.labels) == (f"{family.name}_bucket", labels)
    told = shown.exemplar
    assert (told.labels, told.value) == ({"trace_id": "1f" * 16}, 0.04)
    assert float(told.timestamp) == 1_800_000_000.5
    assert "1f1f" not in page_of(counters).text


def test_the_version_of_the_program_is_told() -> None:
    page = page_of(Counters()).text

    assert f'version="{__version__}"' in page
    assert "ds_edge_build_info{" in page


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
    page = page_of(counters).text

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
