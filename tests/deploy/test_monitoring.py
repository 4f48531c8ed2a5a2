"""The alerts and the dashboard of ``deploy/``, judged by promtool and Prometheus.

Each alert has its troubles, in which it fires and no other does; in calm, and in what
only looks like trouble, all are silent. A real Prometheus then reads the shipped files,
and scrapes a real node with them; it is asked all that the dashboard would ask. No
Grafana runs here.
"""

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge.core.node_counters import NODE_DESCRIPTIONS
from edge.core.reasons import Reason
from tests.deploy.proxies import DEPLOY
from tests.scale.nodes import node
from tests.support import programs
from tests.support.patience import until
from tests.support.processes import (
    ROOT,
    embedded_origin,
    free_port,
    running,
    wait_until_ready,
)

FOLDER = DEPLOY / "prometheus"
GRAFANA = DEPLOY / "grafana"
ALERTS = FOLDER / "alerts.yml"
AFTER = 60
"""Minutes after which a story is judged."""

pytestmark = pytest.mark.timeout(600)


def stays(value: float) -> str:
    return f"{value}+0x{AFTER}"


def grows(step: float, first: float = 0) -> str:
    return f"{first}+{step}x{AFTER}"


def began(minutes_ago: int, step: float = 0) -> str:
    """A counter that stood at 0 until its first event."""
    return f"0+0x{AFTER - minutes_ago - 1} 1+{step}x{minutes_ago}"


def took(name: str, seconds: float, each: float, labels: str = "") -> dict[str, str]:
    """A histogram of things that all took so long, so many each minute."""
    bounds = (0.005, 0.05, 0.5, 2.5, 10.0)
    series = {
        f'ds_edge_{name}_bucket{{{labels}le="{bound}"}}': grows(
            each if seconds <= bound else 0
        )
        for bound in bounds
    }
    series[f'ds_edge_{name}_bucket{{{labels}le="+Inf"}}'] = grows(each)
    only = f"{{{labels.removesuffix(', ')}}}" if labels else ""
    return {**series, f"ds_edge_{name}_count{only}": grows(each)}


HIT = 'mode="long-poll", result="hit", '
MISS = 'mode="catch-up", result="miss", '
READ = 'purpose="catch-up", '
BEHIND = 'ds_edge_outage{where="behind", reason="origin-stale"}'


CALM: Mapping[str, str] = {
    "up": stays(1),
    "process_start_time_seconds": stays(1_700_000_000),
    "process_open_fds": stays(1000),
    "process_max_fds": stays(65_536),
    "ds_edge_viewers": stays(500),
    "ds_edge_breaker_open": stays(0),
    "ds_edge_origin_up": stays(1),
    BEHIND: stays(0),
    'ds_edge_outage{where="origin", reason="origin-timeout"}': stays(0),
    "ds_edge_last_collection_seconds": stays(0.05),
    "ds_edge_tls_certificate_expires_at": stays(30 * 86_400),
    'ds_edge_reads_total{mode="long-poll"}': grows(1200),
    'ds_edge_answers_total{result="hit"}': grows(1000),
    'ds_edge_answers_total{result="collapsed"}': grows(200),
    'ds_edge_answers_total{result="stale"}': stays(7),
    "ds_edge_delivered_total": grows(1200),
    'ds_edge_origin_requests_total{purpose="follow"}': grows(30),
    'ds_edge_origin_requests_total{purpose="write"}': grows(900),
    'ds_edge_origin_faults_total{reason="origin-timeout"}': stays(3),
    'ds_edge_origin_statuses_total{status="503"}': stays(40),
    'ds_edge_writes_total{status="2xx"}': grows(900),
    'ds_edge_writes_total{status="lost"}': stays(2),
    'ds_edge_problems_total{status="404"}': grows(600),
    'ds_edge_refusals_total{reason="limit-above-end"}': grows(60),
    'ds_edge_refusals_total{reason="limit-viewers"}': stays(12),
    'ds_edge_drops_total{reason="gone"}': grows(10),
    'ds_edge_drops_total{reason="bytes-differ"}': stays(1),
    'ds_edge_evictions_total{part="probation"}': grows(60),
    'ds_edge_viewers_ended_total{reason="timed-out"}': grows(1000),
    'ds_edge_viewers_ended_total{reason="client-gone"}': grows(60),
    'ds_edge_viewers_ended_total{reason="viewer-lag"}': grows(1),
    'ds_edge_verdicts_total{verdict="jwt-granted"}': grows(300),
    'ds_edge_verdicts_total{verdict="jwt-denied"}': grows(30),
    'ds_edge_asks_total{ask="forward-let-in"}': grows(60),
    'ds_edge_key_fetches_total{result="answered"}': grows(1),
    'ds_edge_disk_faults_total{reason="disk-no-room"}': grows(1),
    'ds_edge_disk_faults_total{reason="disk-slow"}': stays(1),
    "ds_edge_disk_pauses_total": stays(0),
    'ds_edge_replacements_total{reason="reload"}': grows(1),
    'ds_edge_replacements_total{reason="worker-died"}': stays(1),
    "ds_edge_internal_errors_total": stays(0),
    "ds_edge_log_lines_dropped_total": stays(20),
    "ds_edge_spans_exported_total": grows(100),
    'ds_edge_spans_dropped_total{reason="spans-not-taken"}': stays(512),
    'ds_edge_spans_dropped_total{reason="spans-full"}': stays(0),
    "ds_edge_accept_pauses_total": stays(0),
    "ds_edge_config_last_reload_successful": stays(1),
    'ds_edge_purges_total{purge="tag-soft"}': grows(10),
    **took("first_byte_seconds", 0.004, 1000, HIT),
    **took("first_byte_seconds", 2.0, 20, MISS),
    **took("fan_out_seconds", 0.04, 60),
    **took("origin_head_seconds", 0.4, 30, READ),
}
"""A busy edge that has had its troubles, long ago."""

TROUBLES: Mapping[str, tuple[Mapping[str, str], ...]] = {
    "EdgeDown": ({"up": stays(0)},),
    "EdgeStartsAgainAndAgain": ({"process_start_time_seconds": grows(60, 1e9)},),
    "EdgeProcessDied": (
        {'ds_edge_replacements_total{reason="worker-died"}': began(5)},
        {'ds_edge_replacements_total{reason="worker-died"}': grows(1)},
    ),
    "EdgeInternalErrors": ({"ds_edge_internal_errors_total": grows(1)},),
    "EdgeOriginAway": (
        {'ds_edge_answers_total{result="stale"}': grows(20)},
        {"ds_edge_breaker_open": stays(1)},
        {"ds_edge_origin_up": stays(0)},
    ),
    "EdgeShieldLostOrigin": (
        {BEHIND: stays(1)},
        {BEHIND: stays(1), 'ds_edge_answers_total{result="stale"}': grows(20)},
    ),
    "EdgeOriginFaults": (
        {'ds_edge_origin_faults_total{reason="origin-timeout"}': grows(1)},
    ),
    "EdgeOriginRefuses": ({'ds_edge_origin_statuses_total{status="503"}': grows(30)},),
    "EdgeOriginChangedHistory": (
        {'ds_edge_drops_total{reason="bytes-differ"}': began(5)},
        {'ds_edge_drops_total{reason="tail-went-back"}': grows(1)},
    ),
    "EdgeWritesLost": (
        {'ds_edge_writes_total{status="lost"}': began(5)},
        {'ds_edge_writes_total{status="lost"}': grows(1)},
    ),
    "EdgeFanOutLost": (
        {'ds_edge_origin_requests_total{purpose="catch-up"}': grows(1100)},
    ),
    "EdgeErrorAnswers": ({'ds_edge_problems_total{status="502"}': grows(100)},),
    "EdgeRefusesAtALimit": (
        {'ds_edge_refusals_total{reason="limit-viewers"}': grows(5)},
    ),
    "EdgeFilesRunOut": (
        {"process_open_fds": stays(60_000)},
        {"ds_edge_accept_pauses_total": grows(1)},
    ),
    "EdgeCacheTooSmall": ({'ds_edge_evictions_total{part="protected"}': grows(5)},),
    "EdgeSlowViewers": (
        {'ds_edge_viewers_ended_total{reason="viewer-lag"}': grows(120)},
    ),
    "EdgeViewersLeaveInBursts": (
        {'ds_edge_viewers_ended_total{reason="client-gone"}': grows(3000)},
    ),
    "EdgeCredentialsRefused": (
        {'ds_edge_verdicts_total{verdict="jwt-denied"}': grows(600)},
    ),
    "EdgeNobodyIsLetIn": (
        {'ds_edge_asks_total{ask="forward-unanswered"}': grows(5)},
        {'ds_edge_key_fetches_total{result="failed"}': grows(1)},
    ),
    "EdgeDiskFaults": (
        {'ds_edge_disk_faults_total{reason="disk-damaged"}': began(5)},
        {'ds_edge_disk_faults_total{reason="disk-slow"}': grows(1)},
        {"ds_edge_disk_pauses_total": grows(1)},
    ),
    "EdgeLinkFaults": (
        {'ds_edge_link_faults_total{reason="origin-timeout"}': grows(1)},
    ),
    "EdgeLogIsNotRead": ({"ds_edge_log_lines_dropped_total": grows(10)},),
    "EdgeTracesLost": (
        {'ds_edge_spans_dropped_total{reason="spans-not-taken"}': grows(512)},
        {'ds_edge_spans_dropped_total{reason="spans-full"}': grows(1)},
    ),
    "EdgeStopsToCollect": ({"ds_edge_last_collection_seconds": stays(1.5)},),
    "EdgeReloadFailed": ({"ds_edge_config_last_reload_successful": stays(0)},),
    "EdgeCertificateEnds": (
        {"ds_edge_tls_certificate_expires_at": stays(6 * 86_400)},
        {"ds_edge_tls_certificate_expires_at": stays(60)},
    ),
    "EdgeAnswersSlowly": (took("first_byte_seconds", 0.4, 1000, HIT),),
    "EdgeFanOutSlow": (took("fan_out_seconds", 2.0, 60),),
    "EdgeOriginSlow": (
        took("origin_head_seconds", 2.0, 30, READ),
        took("origin_head_seconds", 2.0, 900, 'purpose="write", '),
    ),
    "EdgePurgesInBursts": ({'ds_edge_purges_total{purge="path-soft"}': grows(90)},),
}
"""What each alert is for: series laid over the calm ones, one story after another."""

SILENT: Mapping[str, Mapping[str, str]] = {
    "calm": {},
    "one scrape failed": {"up": f"1+0x{AFTER - 1} 0"},
    "a few readers got stale answers, a quarter of an hour ago": {
        'ds_edge_answers_total{result="stale"}': f"0+0x{AFTER - 16} 5+0x15"
    },
    "a poll failed, half an hour ago": {
        'ds_edge_origin_faults_total{reason="origin-timeout"}': began(30)
    },
    "the shield lost its origin for two minutes": {BEHIND: f"0+0x{AFTER - 3} 1+0x1 0"},
    "the collector was restarted, and a batch was lost": {
        'ds_edge_spans_dropped_total{reason="spans-not-taken"}': began(10)
    },
    "a quiet edge asks for each of its few readers": {
        'ds_edge_reads_total{mode="long-poll"}': grows(6),
        'ds_edge_answers_total{result="hit"}': grows(6),
        "ds_edge_delivered_total": grows(6),
        'ds_edge_origin_requests_total{purpose="catch-up"}': grows(6),
    },
    "a reload was refused, and another one taken a minute later": {
        "ds_edge_config_last_reload_successful": f"1+0x{AFTER - 3} 0 1+0x1"
    },
    "a whole site is purged at once": {
        'ds_edge_purges_total{purge="glob-hard"}': f"0+0x{AFTER - 6} 200+0x5"
    },
    "polls of a private stream are held by the origin": took(
        "origin_head_seconds", 9.0, 900, 'purpose="relay", '
    ),
    "at night hardly anybody reads, and each waits for the machine to wake": {
        **took("first_byte_seconds", 0.4, 2, HIT),
        **took("origin_head_seconds", 2.0, 2, READ),
    },
    "an edge was restarted: its counters begin anew": {
        name: f"1000+10x{AFTER - 31} 0+10x30"
        for name in CALM
        if name.startswith(("ds_edge_reads", "ds_edge_delivered"))
    },
}
"""What is no trouble."""


def document() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(ALERTS.read_text())
    return found


RULES = {
    rule["alert"]: rule for group in document()["groups"] for rule in group["rules"]
}


def story(name: str, series: Mapping[str, str], firing: str | None) -> dict[str, Any]:
    """One test of promtool: after an hour exactly this alert fires, or none."""
    fires = "count by (alertname) (ALERTS{alertstate='firing'})"
    expected = [{"labels": f'{{alertname="{firing}"}}', "value": 1}] if firing else []
    return {
        "name": name,
        "interval": "1m",
        "input_series": [
            {"series": labelled(one), "values": values}
            for one, values in {**CALM, **series}.items()
        ],
        "promql_expr_test": [
            {"expr": fires, "eval_time": f"{AFTER}m", "exp_samples": expected}
        ],
    }


def labelled(series: str) -> str:
    """With what Prometheus adds to each series of a target."""
    name, _, labels = series.partition("{")
    own = f", {labels}" if labels else "}"
    return f'{name}{{job="ds-edge", instance="pop:8081"{own}'


def promtool(*arguments: str) -> str:
    binary = programs.ensure("promtool", "prometheus")
    done = subprocess.run([binary, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def judge(folder: Path, stories: list[dict[str, Any]], every: str) -> None:
    """Have promtool live through the stories; rules are evaluated so often."""
    file = folder / "stories.yml"
    told = {"rule_files": [str(ALERTS)], "evaluation_interval": every, "tests": stories}
    file.write_text(yaml.safe_dump(told))
    promtool("test", "rules", str(file))


def test_each_alert_fires_in_its_troubles_and_no_other_does(tmp_path: Path) -> None:
    """All in one run of promtool, which names what it expected where it fails."""
    assert list(TROUBLES) == list(RULES)
    judge(
        tmp_path,
        [
            story(alert, series, alert)
            for alert, troubles in TROUBLES.items()
            for series in troubles
        ],
        every="5m",
    )


def test_in_calm_all_are_silent(tmp_path: Path) -> None:
    """And in what only looks like trouble."""
    told = [story(name, series, None) for name, series in SILENT.items()]
    judge(tmp_path, told, every="1m")


def test_every_alert_has_its_section_and_says_what_is_the_matter() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### (Edge\w+)$", page, re.MULTILINE)

    assert headings == list(RULES)
    for rule in RULES.values():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"] and rule["annotations"]["description"]


def test_the_reasons_that_alerts_name_exist() -> None:
    known = {reason.value for reason in Reason}
    text = " ".join(rule["expr"] for rule in RULES.values())
    named = re.findall(r'reason!?=~?"([^"]+)"', text)

    assert named
    for word in {one for words in named for one in words.split("|")}:
        assert any(re.fullmatch(word, one) for one in known), word


@contextmanager
def prometheus(folder: Path, admin: str) -> Iterator[str]:
    """Prometheus with the files that are shipped, but the address of the edge."""
    text = (FOLDER / "prometheus.yml").read_text()
    assert "127.0.0.1:8081" in text
    shutil.copy(ALERTS, folder)
    config = folder / "prometheus.yml"
    config.write_text(
        text.replace("127.0.0.1:8081", admin.removeprefix("http://")).replace(
            "scrape_interval: 15s", "scrape_interval: 1s"
        )
    )
    address = f"127.0.0.1:{free_port()}"
    command = [
        programs.ensure("prometheus", "prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'kept'}",
        f"--web.listen-address={address}",
    ]
    with running("prometheus", command) as process:
        wait_until_ready(process, address, "/-/ready")
        yield f"http://{address}"


def asked(url: str, expression: str) -> list[dict[str, Any]]:
    """What Prometheus answers to an expression; fails where it cannot read it."""
    query = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"{url}/api/v1/query?{query}") as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return found


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A Prometheus that has scraped a node of several processes, and the node's page:
    it has every name that there is."""
    folder = tmp_path_factory.mktemp("prometheus")
    with (
        embedded_origin() as origin,
        node(origin.url, 2) as one,
        prometheus(folder, one.admin) as url,
    ):
        until(lambda: bool(asked(url, 'up{job="ds-edge"} == 1')))
        with urllib.request.urlopen(f"{one.admin}/metrics") as answer:
            page = answer.read().decode()
        yield url, page


ONLY_OVER_TLS = {"ds_edge_tls_certificate_expires_at"}
"""Shown where an edge speaks TLS; ``tests/whole/test_tls.py`` reads it there."""


def names_of(page: str) -> set[str]:
    """The names of all series that a page has, or will have."""
    kinds = re.findall(r"^# TYPE (\S+) ", page, re.MULTILINE)
    return set(kinds) | set(re.findall(r"^(\w+)[{ ]", page, re.MULTILINE))


def test_prometheus_takes_the_files_and_nothing_fires_at_a_quiet_edge(
    scraped: tuple[str, str],
) -> None:
    url, _ = scraped
    with urllib.request.urlopen(f"{url}/api/v1/rules") as answer:
        groups = json.load(answer)["data"]["groups"]

    assert [rule["name"] for one in groups for rule in one["rules"]] == list(RULES)
    assert asked(url, "ALERTS{alertstate='firing'}") == []


def test_alerts_name_what_a_running_edge_shows(scraped: tuple[str, str]) -> None:
    has = names_of(scraped[1]) | {"up"}
    text = " ".join(rule["expr"] for rule in RULES.values())
    named = set(re.findall(r"\b(?:ds_edge|process)_\w+|\bup\b", text))

    assert named - ONLY_OVER_TLS <= has


DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "ds-edge.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
GIVEN = {"$job": "ds-edge", "$edge": ".*", "$__rate_interval": "1m"}
"""What Grafana puts in for the dashboard's variables."""


def expressions() -> list[str]:
    """All that the dashboard asks of Prometheus, as Grafana sends it."""
    found = [one["expr"] for panel in PANELS for one in panel.get("targets", ())]
    found += [one["expr"] for one in DASHBOARD["annotations"]["list"]]
    for name, value in GIVEN.items():
        found = [one.replace(name, value) for one in found]
    return found


def test_prometheus_can_answer_all_that_the_dashboard_asks(
    scraped: tuple[str, str],
) -> None:
    for expression in expressions():
        assert "$" not in expression
        asked(scraped[0], expression)


def test_a_page_has_every_series_before_anything_was_counted(
    scraped: tuple[str, str],
) -> None:
    """So that an alert sees the first event as an increase."""
    for described in NODE_DESCRIPTIONS:
        for value in described.values:
            series = f'ds_edge_{described.name}_total{{{described.label}="{value}"}} '
            assert f"\n{series}" in scraped[1], series


def test_the_dashboard_shows_what_a_running_edge_has(scraped: tuple[str, str]) -> None:
    named = set(re.findall(r"\b(?:ds_edge|process)_\w+", " ".join(expressions())))

    assert len(named) > 20
    assert named <= names_of(scraped[1])


def test_each_panel_has_a_place_of_its_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        at = panel["gridPos"]
        cells = {
            (at["x"] + column, at["y"] + line)
            for column in range(at["w"])
            for line in range(at["h"])
        }
        assert at["x"] + at["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


def test_grafana_is_told_where_both_are() -> None:
    """Its own words for them: a source of this kind, and a folder."""
    folder = GRAFANA / "provisioning"
    source = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())
    found = yaml.safe_load((folder / "dashboards" / "ds-edge.yml").read_text())

    assert [one["type"] for one in source["datasources"]] == ["prometheus"]
    assert [one["type"] for one in found["providers"]] == ["file"]
    assert DASHBOARD["templating"]["list"][0]["query"] == "prometheus"
