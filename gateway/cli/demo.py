"""``demo``: what ``make run`` starts. The gateway with its sandbox helpdesk, and four events that real senders would send."""

import base64
import secrets
import struct
import sys
import time
import zlib
from dataclasses import replace
from pathlib import Path

import click
import httpx

from gateway.cli.common import config_option, fail, load_config, run_server
from gateway.cli.terminal import show
from gateway.config.config import Config
from gateway.config.models import Auth, Log
from gateway.journal.locate import journal_path

PATIENCE = 8
"""Seconds to wait for each ticket (`Prefer: wait`)."""


@click.command()
@config_option
def demo(config_path: Path) -> None:
    """Run the gateway with the sandbox helpdesk, send four sample events, and stay up until Ctrl-C."""
    from gateway.app import Gateway, serve_until_stopped  # noqa: PLC0415 - other verbs start without the servers
    from gateway.sandbox.app import sandbox_app  # noqa: PLC0415 - as above
    from gateway.sandbox.sandbox import Sandbox  # noqa: PLC0415 - as above

    config = load_config(config_path)
    missing = sorted({"nagios", "zabbix", "generic"} - {source.kind for source in config.sources.values()})
    if missing:
        fail(f"{config_path} has no source of kind {', '.join(missing)}; the demonstration sends to one of each")
    quiet = config.server.model_copy(update={"log": Log(format="text", level="warning")})
    config = replace(config, server=quiet)
    folder = journal_path(config).parent / "sandbox"

    async def work() -> int:
        sandbox = Sandbox(folder)
        try:
            return await serve_until_stopped(config, mounts={"/sandbox": sandbox_app(sandbox)}, then=story)
        finally:
            await sandbox.close()

    async def story(gateway: Gateway) -> None:
        address = next((one for one in gateway.addresses if one.startswith("http")), "")
        show(f"ticket-gateway is up with {config_path} and the built-in sandbox helpdesk.\n")
        try:
            await _tell(address, config)
        except (httpx.HTTPError, ValueError) as error:
            show(f"  The events could not be sent to {address or 'it'}: {str(error) or type(error).__name__}")
        show("\nLook at:")
        show(f"  {address}/sandbox   the helpdesk's tickets, and switches that make it fail")
        show(f"  {address}/healthz   {address}/readyz   {address}/metrics")
        show("  ticket-gateway events ls   in another terminal: what came in, and what became of it")
        show("\nStop with Ctrl-C.")

    code = run_server(work())
    if code == 0:
        show(f"\nStopped; the tickets are kept in {folder}")
    sys.exit(code)


async def _tell(address: str, config: Config) -> None:
    """Send the four events and print what became of each."""
    run_id = secrets.token_hex(2)
    number = int(time.time())
    problem = _nagios("PROBLEM", "CRITICAL", run_id, number - 240)
    recovery = _nagios("RECOVERY", "OK", run_id, number)
    async with httpx.AsyncClient(timeout=PATIENCE + 5.0, trust_env=False) as client:

        async def send(title: str, kind: str, *, json: object = None, form: dict[str, str] | None = None) -> None:
            name = next(name for name, settings in config.sources.items() if settings.kind == kind)
            headers = {"Prefer": f"wait={PATIENCE}", **_credentials(config.sources[name].auth)}
            answer = await client.post(f"{address}/in/{name}", headers=headers, json=json, data=form)
            show(f"  {title:<44} {answer.status_code}  {_became(answer)}")

        show("Four events:")
        await send(f"Nagios: HTTP on web-{run_id} is CRITICAL", "nagios", form=problem)
        await send(f"Zabbix: disk space on db-{run_id} is low", "zabbix", json=_zabbix(run_id, number))
        await send(f"JSON: backup of mail-{run_id} failed, 2 files", "generic", json=_generic(run_id))
        await send(f"Nagios: HTTP on web-{run_id} has recovered", "nagios", form=recovery)


def _became(answer: httpx.Response) -> str:
    body = answer.json()
    ticket = body.get("ticket")
    if ticket is None:
        return body.get("detail") or f"accepted as {body.get('id')}"
    made = "ticket made:" if answer.status_code == httpx.codes.CREATED else "added to ticket"
    return f"{made} {ticket['number']}  {ticket.get('url') or ''}"


def _credentials(auth: Auth | str | None) -> dict[str, str]:
    if not isinstance(auth, Auth) or auth.bearer is None:
        return {}
    token = auth.bearer[0] if isinstance(auth.bearer, list) else auth.bearer
    return {"Authorization": f"Bearer {token.reveal()}"}


def _nagios(kind: str, state: str, run_id: str, at: int) -> dict[str, str]:
    down = state != "OK"
    return {
        "NOTIFICATIONTYPE": kind,
        "NOTIFICATIONNUMBER": "1",
        "SERVICENOTIFICATIONID": str(at),
        "HOSTNAME": f"web-{run_id}",
        "HOSTALIAS": "Web front-end",
        "HOSTADDRESS": "192.0.2.10",
        "HOSTGROUPNAMES": "web-servers",
        "HOSTSTATE": "UP",
        "SERVICEDESC": "HTTP",
        "SERVICESTATE": state,
        "LASTSERVICESTATE": "OK" if down else "CRITICAL",
        "SERVICEOUTPUT": "HTTP CRITICAL - connection refused" if down else "HTTP OK: 200, 0.021 s response time",
        "LONGSERVICEOUTPUT": "connect to 192.0.2.10 port 80: refused\\nlast good answer 4 minutes ago" if down else "",
        "SERVICEPERFDATA": "time=0.021s;1;2;0",
        "SERVICENOTESURL": "https://wiki.example.org/runbooks/http",
        "SERVICEEVENTID": str(at),
        "TIMET": str(at),
    }


def _zabbix(run_id: str, number: int) -> dict[str, object]:
    return {
        "event_source": "0",
        "event_value": "1",
        "event_update_status": "0",
        "event_id": str(number),
        "event_nseverity": "4",
        "event_severity": "High",
        "event_date": time.strftime("%Y.%m.%d", time.gmtime(number)),
        "event_time": time.strftime("%H:%M:%S", time.gmtime(number)),
        "trigger_id": str(16000 + number % 1000),
        "host_host": f"db-{run_id}",
        "host_name": f"Database db-{run_id}",
        "host_ip": "192.0.2.20",
        "host_groups": "Databases, Linux servers",
        "event_name": f"Free disk space on /var/lib/postgresql is below 5 % (db-{run_id})",
        "event_opdata": "Used: 95.8 %, free: 4.1 GB",
        "event_tags": [{"tag": "scope", "value": "capacity"}, {"tag": "service", "value": "postgresql"}],
        "zabbix_url": "https://zabbix.example.org",
        "subject": "Free disk space is below 5 %",
        "message": "The database stops when the disk is full.",
        "format": "zabbix-webhook/1",
    }


def _generic(run_id: str) -> dict[str, object]:
    log = f"02:00:01 start backup of mail-{run_id}\n02:14:37 error: target is full\n02:14:37 aborted\n"
    return {
        "kind": "problem",
        "severity": "warning",
        "title": f"Backup of mail-{run_id} failed",
        "text": "The nightly backup ended with exit code 2: the target is full.",
        "host": f"mail-{run_id}",
        "service": "backup",
        "origin_key": f"backup/mail-{run_id}",
        "labels": {"site": "FRA1"},
        "attachments": [
            {"filename": "backup.log", "media_type": "text/plain", "content": _base64(log.encode())},
            {"filename": "usage.png", "media_type": "image/png", "content": _base64(_chart())},
        ],
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _chart() -> bytes:
    """A small bar chart as PNG (RFC 2083): twelve days of a target that fills up."""
    width, height, bars = 240, 120, 12
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        for x in range(width):
            bar, inside = divmod(x, width // bars)
            level = int(height * (0.35 + 0.05 * bar))
            filled = inside > 3 and height - y <= level
            full = bar >= bars - 1
            rows += (b"\xc0\x39\x2b" if full else b"\x2e\x86\xc1") if filled else b"\xf4\xf6\xf7"
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows), 9)), (b"IEND", b""))
    chunks = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + chunks
