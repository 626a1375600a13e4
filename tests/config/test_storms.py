"""Storms that cannot be meant so are refused, each with its place and the way out."""

from pathlib import Path

import pytest

from gateway.config.loader import load_file
from gateway.config.problems import ConfigErrors
from gateway.config.shipped import shipped_templates

FILE = """\
version: 1
sources:
  app: {{kind: generic, auth: none}}
helpdesks:
  desk:
    kind: osticket
    url: http://127.0.0.1:9/api
    auth: {{api_key: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA}}
    requester: {{name: Monitoring, email: monitoring@example.org}}
    sandbox: true
routes:
  - name: all
    ticket: {{helpdesk: desk}}
    incident: {{storm: {{{storm}}}{more}}}
"""


def told(folder: Path, storm: str, more: str = "", *, without_template: bool = False) -> list[str]:
    """What is wrong, else what is noted."""
    templates = folder / "templates"
    templates.mkdir()
    for one in shipped_templates().iterdir():
        if one.name != "storm" or not without_template:
            (templates / one.name).symlink_to(one)
    path = folder / "routes.yaml"
    path.write_text(FILE.format(storm=storm, more=more))
    try:
        found = load_file(path, env={}).notes
    except ConfigErrors as errors:
        found = errors.problems
    return [str(problem).removeprefix(f"{folder}/") for problem in found if "incident.storm" in str(problem)]


GOOD = "limit: 20, within: 10m"


def test_a_storm_that_makes_sense_is_taken_without_a_word(tmp_path: Path) -> None:
    assert told(tmp_path, f"{GOOD}, per: [source, labels.site], then: digest, every: 2m, template: storm") == []


@pytest.mark.parametrize(
    ("storm", "words"),
    [
        ("limit: 1, within: 10m", "storm.limit: must be at least 2"),
        ("within: 10m", "'limit' is missing"),
        ("limit: 20", "'within' is missing"),
        (f"{GOOD}, then: drop", "storm.then: must be 'digest'"),
        ("limit: 20, within: 0s", "storm.within: must be more than 0s"),
        (f"{GOOD}, every: 10ms", "storm.every: must be at least 1s"),
        (f"{GOOD}, per: [hots]", "storm.per[0]: unknown field 'hots'; did you mean 'host'?"),
        (f"{GOOD}, template: strom", "storm.template: there is no template folder 'strom'; did you mean 'storm'?"),
        (f"{GOOD}, per: [route]", "storm.per[0]: warning: does nothing: routes are counted apart anyway"),
        (f"{GOOD}, every: 1h", "people hear of a storm only every 1h"),
    ],
)
def test_a_storm_that_makes_none_is_refused_or_doubted_with_its_place(tmp_path: Path, storm: str, words: str) -> None:
    found = told(tmp_path, storm)
    assert len(found) == 1, found
    assert words.replace("warning: ", "") in found[0].replace("warning: ", "")
    assert found[0].startswith("routes.yaml:14:")


def test_a_folder_of_templates_from_before_storms_has_the_shipped_one(tmp_path: Path) -> None:
    assert told(tmp_path, GOOD, without_template=True) == []


def test_without_expire_a_lost_recovery_would_keep_the_digest_open(tmp_path: Path) -> None:
    [one] = told(tmp_path, GOOD, ", expire: never")
    assert "a problem whose recovery is lost keeps the digest open for ever" in one
