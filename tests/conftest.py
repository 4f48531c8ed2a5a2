"""For all tests: what fails a test beside its own asserts.

In continuous integration, a test that was skipped has failed. Anywhere, a test has
failed during which gevent's hub reported an error: an exception that ends a greenlet
is printed by the hub and reaches nobody else, so that no assert could see it. A test
that expects such a report takes the fixture ``hub_errors``.

A law that is tested over generated states has no deadline: no test asserts a time.

What takes longest begins first, so that no process of pytest has a long file left when
the others have nothing to do any more.
"""

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.hub_errors import HubError, reported

settings.register_profile(
    "untimed",
    settings.default,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("untimed")

REASON = "skipped, and CI skips nothing"

LONGEST_FIRST = (
    *("scale", "conformance", "chaos", "client", "deploy", "whole", "front", "bench"),
    *("origin_adapter", "supervisor", "cli", "ways", "tools", "link", "board", "live"),
)
"""Folders, most of which start processes; the others follow."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Within a folder the order stays as it was drawn."""
    ranks = {name: rank for rank, name in enumerate(LONGEST_FIRST)}
    here = Path(__file__).parent

    def rank(item: pytest.Item) -> int:
        # A test of the tests has some that stand elsewhere.
        inside = item.path.is_relative_to(here)
        folder = item.path.relative_to(here).parts[0] if inside else ""
        return ranks.get(folder, len(ranks))

    items.sort(key=rank)


def pytest_collection_finish() -> None:
    """Fifteen thousand tests are no garbage, and need not be looked through again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def hub_errors() -> Iterator[list[HubError]]:
    """What gevent's hub reports during this test, which expects it to."""
    yield reported
    reported.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a test whose greenlets failed, its fixtures' included.

    After all teardown, and so not a fixture: what fixtures of wider scope leave
    behind is told of the last test that used them.
    """
    try:
        yield
    finally:
        texts = [error.text for error in reported]
        reported.clear()
    if texts:
        pytest.fail("gevent's hub reported:\n" + "\n".join(texts), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[
    None, pytest.TestReport, pytest.TestReport
]:
    """A skip is for a machine that lacks something; CI's must lack nothing."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"{REASON}: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[
    None, pytest.CollectReport, pytest.CollectReport
]:
    """The same for a module that skips itself whole."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"{REASON}: {report.longrepr}"
    return report
