"""The pages by which an operator has the edge reload, and what they tell."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from falcon import testing
from prometheus_client.core import Metric

from edge.admin.app import create_admin_app
from edge.admin.reload_pages import ReloadPages
from edge.core.errors import Refusal
from edge.core.reasons import Reason
from edge.core.reload_history import ReloadHistory

TOKEN = "s3cret-token"
SIGNED = {"Authorization": f"Bearer {TOKEN}"}
NEW = ReloadHistory(100.0, 100.0)


@dataclass
class Edge:
    """Implements ``reload_pages.Reloads``: says what the test says."""

    told: ReloadHistory = NEW
    why: Reason | None = None
    ordered: list[int] = field(default_factory=list)

    def history(self) -> ReloadHistory:
        return self.told

    def order(self) -> int:
        if self.why is not None:
            raise Refusal("Not now.", reason=self.why)
        self.ordered.append(self.told.number + 1)
        return self.ordered[-1]

    def operator(self, token: str | None = None) -> testing.TestClient:
        return testing.TestClient(create_admin_app(ReloadPages(self).routes(), token))


def test_an_order_is_answered_with_the_reload_to_wait_for() -> None:
    edge = Edge(NEW.begun(101.0))
    answered = edge.operator().simulate_post("/reload", json={})

    assert (answered.status_code, edge.ordered) == (200, [2])
    assert answered.json == {"number": 2, "started": 100.0}


@pytest.mark.parametrize(
    ("token", "request_of", "status"),
    [
        (TOKEN, {"json": {}}, 401),
        (TOKEN, {"json": {}, "headers": SIGNED}, 200),
        # A web page cannot send this without saying who it is.
        (None, {"json": {}, "headers": {"Origin": "http://evil"}}, 403),
        (None, {"body": "", "headers": {"Content-Type": "text/plain"}}, 415),
        (None, {"json": {}}, 200),
    ],
)
def test_who_may_order_one(
    token: str | None, request_of: dict[str, Any], status: int
) -> None:
    edge = Edge()
    answered = edge.operator(token).simulate_post("/reload", **request_of)

    assert answered.status_code == status
    assert len(edge.ordered) == (status == 200)


def test_an_edge_that_cannot_reload_says_why() -> None:
    answered = Edge(why=Reason.DRAINING).operator().simulate_post("/reload", json={})

    assert (answered.status_code, answered.json["reason"]) == (503, "draining")


def test_the_last_ones_are_told_whoever_ordered_them() -> None:
    done = NEW.begun(101.0).taken(["live.linger"]).accepted(102.0)
    wrong = done.begun(103.0).refused(
        103.5, Reason.SETTINGS_REFUSED, ["edge.yaml:2: live.lingr: is not a setting"]
    )
    told = Edge(wrong).operator(TOKEN).simulate_get("/reloads", headers=SIGNED).json

    assert (told["successful"], told["succeeded"], told["started"]) == (
        False,
        102.0,
        100.0,
    )
    assert told["counts"] == {"accepted": 1, "refused": 1, "failed": 0}
    assert [one["result"] for one in told["reloads"]] == ["accepted", "refused"]
    assert told["reloads"][0]["changed"] == ["live.linger"]
    assert "live.lingr" in told["reloads"][1]["problems"][0]


def test_the_figures_say_whether_the_last_one_was_taken() -> None:
    """From the start on: settings were taken then."""
    edge = Edge()
    before = {one.name: one for one in ReloadPages(edge).metrics()}
    edge.told = NEW.begun(101.0).refused(102.0, Reason.SETTINGS_REFUSED, ["wrong"])
    after = {one.name: one for one in ReloadPages(edge).metrics()}

    def value(found: dict[str, Metric], name: str) -> float:
        [sample] = found[f"ds_edge_config_{name}"].samples
        return sample.value

    assert value(before, "last_reload_successful") == 1
    assert value(after, "last_reload_successful") == 0
    assert value(before, "last_reload_success_timestamp_seconds") == 100.0
    assert value(after, "last_reload_success_timestamp_seconds") == 100.0
    counts = {
        sample.labels["result"]: sample.value
        for sample in after["ds_edge_config_reloads"].samples
    }
    assert counts == {"accepted": 0, "refused": 1, "failed": 0}
