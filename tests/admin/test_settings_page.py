"""The settings in force, as the admin address shows them: no secret is among them."""

from pathlib import Path

from falcon import testing

from edge import __version__
from edge.admin.app import create_admin_app
from edge.admin.settings_page import SettingsPage
from edge.settings import load
from edge.settings.dump import MASK, for_people

SECRETS = {
    "the operator's": "secret-of-the-operator",
    "the origin's": "secret-of-the-origin",
    "the route's": "secret-of-the-route",
    "the way's": "secret-of-the-way-that-has-32-bytes",
    "the signer's": "secret-of-the-signer-that-has-32-bytes",
}


def test_they_are_those_of_the_file_without_any_secret(tmp_path: Path) -> None:
    """Masked all alike, whatever their length: nothing of them can be guessed at."""
    file = tmp_path / "edge.yaml"
    operator, origin, route, way, signer = SECRETS.values()
    file.write_text(
        f"""
admin: {{token: {operator}}}
origin: {{url: "http://o:1", headers: {{Authorization: "Bearer {origin}"}}}}
routes:
  - match: /v1/stream/**
    origin_headers: {{X-Key: {route}}}
    access:
      signed: {{keys: {{k1: {{secret: {signer}}}}}}}
      jwt: {{keys: [{{secret: {way}}}], algorithms: [HS256], read_claim: read,
            issuer: "https://i", audience: a}}
live: {{linger: 7s}}
"""
    )
    settings = load(file)
    page = SettingsPage(lambda: for_people(settings))
    operator_page = testing.TestClient(create_admin_app(page.routes(), operator))
    refused = operator_page.get("/settings")
    told = operator_page.get(
        "/settings", headers={"Authorization": f"Bearer {operator}"}
    )

    assert refused.status_code == 401
    assert told.json["version"] == __version__
    assert told.json["settings"]["live"]["linger"] == "7s"
    assert told.text.count(MASK) >= len(SECRETS)
    for whose, secret in SECRETS.items():
        assert secret not in told.text, whose
