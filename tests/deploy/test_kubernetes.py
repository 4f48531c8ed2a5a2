"""The manifests of ``deploy/kubernetes``: what they say fits together, and the edge.

No cluster runs here. ``python -m tests.deploy.schemas`` has them judged by Kubernetes'
own schemas; here is what no schema knows. The settings are those of a real edge.
"""

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

from edge.settings import load
from tests.deploy.proxies import DEPLOY
from tests.support.patience import until
from tests.support.processes import ROOT, Edge, edge, embedded_origin, free_port

FOLDER = DEPLOY / "kubernetes"
BASE, MONITORED = FOLDER / "base", FOLDER / "monitored"
SETTINGS = BASE / "edge.yaml"

LEAVING = 3 + 4
"""Seconds for leaving, and for ending what does not leave (docs/operating.md)."""

pytestmark = pytest.mark.timeout(600)


def documents(file: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(file.read_text()))


def only(file: Path) -> dict[str, Any]:
    [document] = documents(file)
    return document


DEPLOYMENT = only(BASE / "deployment.yaml")["spec"]
POD: dict[str, Any] = DEPLOYMENT["template"]["spec"]
[CONTAINER] = POD["containers"]
PORTS = {one["name"]: one["containerPort"] for one in CONTAINER["ports"]}


def shipped() -> dict[str, Any]:
    return only(SETTINGS)


@pytest.mark.parametrize("folder", [BASE, MONITORED])
def test_each_folder_names_all_its_files(folder: Path) -> None:
    kustomization = only(folder / "kustomization.yaml")
    named = {one for one in kustomization["resources"] if one.endswith(".yaml")}
    for generated in kustomization.get("configMapGenerator", ()):
        named |= set(generated["files"])

    assert named == {file.name for file in folder.iterdir()} - {"kustomization.yaml"}


def test_the_edge_listens_where_the_manifests_say() -> None:
    settings = load(SETTINGS)
    services = {
        one["metadata"]["name"]: one["spec"]["ports"]
        for one in documents(BASE / "service.yaml")
    }

    assert [str(one) for one in settings.listen] == [f":{PORTS['http']}"]
    assert str(settings.admin.listen) == f":{PORTS['admin']}"
    for ports in services.values():
        assert {one["targetPort"] for one in ports} <= set(PORTS)
    assert services["ds-edge-admin"][0]["port"] == PORTS["admin"]


def test_a_pod_has_time_to_end() -> None:
    settings = load(SETTINGS)
    needed = settings.shutdown.delay + settings.shutdown.grace + LEAVING
    readiness = CONTAINER["readinessProbe"]
    noticed = readiness["periodSeconds"] * readiness["failureThreshold"]

    assert POD["terminationGracePeriodSeconds"] >= needed
    assert settings.shutdown.delay >= noticed + readiness["timeoutSeconds"]


def test_nothing_is_written_but_to_volumes() -> None:
    mounted = {
        one["mountPath"] for one in CONTAINER["volumeMounts"] if not one.get("readOnly")
    }
    dockerfile = (ROOT / "Dockerfile").read_text()
    [folder] = re.findall(r"^WORKDIR (/var\S+)$", dockerfile, re.MULTILINE)
    settings = shipped()

    assert CONTAINER["securityContext"]["readOnlyRootFilesystem"]
    assert mounted == {
        settings["run_folder"],
        settings["cache"]["spool"]["path"],
        folder,
    }
    assert {one["name"] for one in CONTAINER["volumeMounts"]} == {
        one["name"] for one in POD["volumes"]
    }


def test_it_runs_as_the_user_of_the_image_and_may_do_nothing_more() -> None:
    [user] = re.findall(
        r"^USER (\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE
    )
    security, own = POD["securityContext"], CONTAINER["securityContext"]

    assert security["runAsNonRoot"] and str(security["runAsUser"]) == user
    assert security["fsGroup"] == security["runAsGroup"] == security["runAsUser"]
    assert not own["allowPrivilegeEscalation"]
    assert own["capabilities"] == {"drop": ["ALL"]}


def test_the_settings_are_where_the_edge_looks_for_them() -> None:
    values = {one["name"]: one.get("value") for one in CONTAINER["env"]}
    [settings] = [one for one in CONTAINER["volumeMounts"] if one.get("readOnly")]
    [generated] = only(BASE / "kustomization.yaml")["configMapGenerator"]
    [volume] = [one for one in POD["volumes"] if one["name"] == settings["name"]]

    assert values["DS_EDGE_CONFIG"] == f"{settings['mountPath']}/{SETTINGS.name}"
    assert volume["configMap"]["name"] == generated["name"]


def test_one_edge_at_a_time_is_taken_away() -> None:
    budget = only(BASE / "disruption.yaml")["spec"]

    assert budget["maxUnavailable"] < DEPLOYMENT["replicas"]
    assert DEPLOYMENT["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_prometheus_finds_the_admin_address_and_the_token() -> None:
    monitor = only(MONITORED / "servicemonitor.yaml")["spec"]
    [service] = [
        one
        for one in documents(BASE / "service.yaml")
        if one["metadata"]["name"] == "ds-edge-admin"
    ]
    [endpoint] = monitor["endpoints"]
    [secret] = [
        one["valueFrom"]["secretKeyRef"]
        for one in CONTAINER["env"]
        if one["name"] == "DS_EDGE_ADMIN__TOKEN"
    ]

    assert monitor["selector"]["matchLabels"] == service["metadata"]["labels"]
    assert endpoint["port"] in {one["name"] for one in service["spec"]["ports"]}
    assert endpoint["authorization"]["credentials"] == secret


@contextmanager
def pod(folder: Path) -> Iterator[Edge]:
    """An edge with the settings that are shipped, but places of this machine."""
    settings = shipped()
    settings |= {"listen": f"127.0.0.1:{free_port()}", "run_folder": str(folder)}
    settings["cache"]["spool"]["path"] = "/var/tmp"
    settings["limits"]["connections"] = 200
    settings["workers"] = 2
    # A busy machine has time to look; a second order to end ends this one.
    settings["shutdown"]["delay"] = "60s"
    settings["admin"] = {"listen": f"127.0.0.1:{free_port()}", "token": "a-secret"}
    with embedded_origin() as origin:
        settings["origin"]["url"] = origin.url
        with edge(origin.url, **settings) as running:
            yield running


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url) as answer:
            found: int = answer.status
    except urllib.error.HTTPError as refused:
        return refused.code
    return found


def test_the_probes_follow_a_pod_from_its_start_to_its_end() -> None:
    """They need no token. Told to end, it is alive and serves, but is not ready, for
    ``shutdown.delay``: nobody is sent here any more, and nothing is restarted."""
    asked = {
        name: CONTAINER[name]["httpGet"]
        for name in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert {one["port"] for one in asked.values()} == {"admin"}
    with TemporaryDirectory(prefix="ds-") as folder, pod(Path(folder)) as running:
        url = {name: running.admin + one["path"] for name, one in asked.items()}
        assert {status(one) for one in url.values()} == {200}
        assert status(f"{running.admin}/metrics") == 401

        running.process.handle.terminate()
        until(lambda: status(url["readinessProbe"]) == 503)

        assert status(url["livenessProbe"]) == 200
        assert status(f"{running.url}/v1/stream/a") == 404
