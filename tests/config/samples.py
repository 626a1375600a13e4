"""A good configuration, and ways to spoil it."""

from pathlib import Path

from gateway.config.config import Config
from gateway.config.loader import load
from gateway.config.problems import ConfigErrors

GOOD = """\
version: 1
sources:
  nagios:
    kind: nagios
    auth: {bearer: "${env:NAGIOS_TOKEN}"}
helpdesks:
  osticket:
    kind: osticket
    url: https://support.example.org/api
    auth: {api_key: "${env:OSTICKET_KEY}"}
    requester: {email: monitoring@example.org}
routes:
  - name: alerts
    match: {source: nagios}
    ticket:
      helpdesk: osticket
      title: "{{ event.title }}"
      body: "{{ event.text }}"
"""
ENV = {"NAGIOS_TOKEN": "nagios-token-1", "OSTICKET_KEY": "osticket-key-1"}


def write(folder: Path, text: str | bytes) -> Path:
    """A configuration in ``folder`` with a template folder ``generic``."""
    generic = folder / "templates" / "generic"
    generic.mkdir(parents=True, exist_ok=True)
    (generic / "title.j2").write_text("{{ event.title }}")
    (generic / "body.txt.j2").write_text("{{ event.text }}")
    path = folder / "routes.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def read(folder: Path, text: str | bytes, **env: str) -> Config:
    """Load a configuration, named ``routes.yaml`` in messages."""
    path = write(folder, text)
    return load(path.read_bytes(), path=path, env={**ENV, **env})


def problems(folder: Path, text: str | bytes, **env: str) -> list[str]:
    """What is printed about a bad configuration, with names of files relative to its folder."""
    try:
        read(folder, text, **env)
    except ConfigErrors as errors:
        return str(errors).replace(f"{folder}/", "").splitlines()
    return []
