"""A real Nagios Core in a folder of its own, with the definitions that ship with the gateway.

Its objects only get passive results, so a test decides when what changes. Debian: ``apt install nagios4-core``.
"""

import contextlib
import getpass
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.crash.harness import wait_for

REPOSITORY = Path(__file__).parents[2]
SHIPPED = REPOSITORY / "deploy" / "nagios"
NOTIFY = REPOSITORY / "deploy" / "ticket-gateway-notify"
HOST = "web01"
STATES = {"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3, "UP": 0, "DOWN": 1}

MAIN = """\
log_file={folder}/nagios.log
cfg_file={folder}/objects.cfg
cfg_file={folder}/ticket-gateway.cfg
cfg_file={folder}/ticket-gateway-notify.cfg
object_cache_file={folder}/objects.cache
precached_object_file={folder}/objects.precache
status_file={folder}/status.dat
state_retention_file={folder}/retention.dat
command_file={folder}/nagios.cmd
query_socket={folder}/nagios.qh
lock_file={folder}/nagios.pid
temp_file={folder}/nagios.tmp
temp_path={folder}
check_result_path={folder}/results
log_archive_path={folder}
nagios_user={user}
nagios_group={group}
check_external_commands=1
interval_length=1
check_result_reaper_frequency=1
execute_service_checks=0
execute_host_checks=0
check_service_freshness=0
enable_notifications=1
enable_flap_detection=1
enable_environment_macros=1
notification_timeout=60
log_notifications=1
log_passive_checks=0
log_initial_states=0
use_syslog=0
check_for_updates=0
check_workers=4
illegal_macro_output_chars=`~$&|'"<>
"""

OBJECTS = """\
define timeperiod {
  timeperiod_name  24x7
  alias            always
  sunday     00:00-24:00
  monday     00:00-24:00
  tuesday    00:00-24:00
  wednesday  00:00-24:00
  thursday   00:00-24:00
  friday     00:00-24:00
  saturday   00:00-24:00
}
define host {
  host_name               web01
  alias                   Webserver Köln
  address                 192.0.2.10
  max_check_attempts      1
  check_interval          0
  active_checks_enabled   0
  notification_interval   1
  notification_period     24x7
  notification_options    d,u,r,f,s
  check_period            24x7
  flap_detection_enabled  0
  notes_url               https://wiki.example.org/web01
  contacts                ticket-gateway,ticket-gateway-notify
}
"""

SERVICE = """\
define service {{
  host_name               web01
  service_description     {name}
  check_command           none
  max_check_attempts      1
  check_interval          1
  retry_interval          1
  active_checks_enabled   0
  notification_interval   {interval}
  notification_period     24x7
  notification_options    w,u,c,r,f,s
  check_period            24x7
  flap_detection_enabled  {flap}
  contacts                ticket-gateway,ticket-gateway-notify
  _QUEUE                  web
}}
"""

NONE = """\
define command {
  command_name  none
  command_line  /bin/true
}
"""


def program() -> str | None:
    """Where Nagios Core is, if it is installed."""
    return next((path for name in ("nagios4", "nagios") if (path := shutil.which(name))), None)


@dataclass(frozen=True, slots=True)
class Nagios:
    """A running Nagios Core."""

    folder: Path
    pid: int

    @property
    def spool(self) -> Path:
        """Where `ticket-gateway-notify` keeps what it could not send."""
        return self.folder / "spool"

    def command(self, *texts: str) -> None:
        """Write external commands, such as ``ACKNOWLEDGE_SVC_PROBLEM;…``."""
        lines = "".join(f"[{int(time.time())}] {text}\n" for text in texts)
        handle = os.open(self.folder / "nagios.cmd", os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(handle, lines.encode())
        finally:
            os.close(handle)

    def service(self, name: str, state: str, output: str) -> None:
        """One check result of a service."""
        self.command(f"PROCESS_SERVICE_CHECK_RESULT;{HOST};{name};{STATES[state]};{output}")

    def host(self, state: str, output: str) -> None:
        """One check result of the host."""
        self.command(f"PROCESS_HOST_CHECK_RESULT;{HOST};{STATES[state]};{output}")

    def log(self) -> str:
        """What Nagios has logged so far."""
        return (self.folder / "nagios.log").read_text("utf-8", "replace")

    def notified(self, contact: str = "ticket-gateway-notify") -> list[str]:
        """The notifications to a contact so far, as ``NAME TYPE`` (of the host: ``web01 TYPE``)."""
        found: list[str] = []
        for line in self.log().splitlines():
            match = re.search(r"(SERVICE|HOST) NOTIFICATION: (.*)", line)
            fields = match[2].split(";") if match else []
            if fields and fields[0] == contact:
                found.append(
                    f"{fields[2]} {fields[3]}" if match and match[1] == "SERVICE" else f"{fields[1]} {fields[2]}"
                )
        return found

    def flush(self) -> subprocess.CompletedProcess[str]:
        """Run `ticket-gateway-notify --flush`, as cron does."""
        words = [sys.executable, str(NOTIFY), "--config", str(self.folder / "notify.conf"), "--flush"]
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


@contextmanager
def running(
    *,
    curl_url: str,
    notify_url: str,
    token: str,
    services: Iterable[str],
    renotify: Iterable[str] = (),
    flapping: Iterable[str] = (),
) -> Iterator[Nagios]:
    """Nagios with one host and these services, each told to both ways: the shipped curl commands, and notify."""
    nagios = program()
    if nagios is None:
        raise FileNotFoundError("Nagios Core is not installed")
    # A unix socket's path must be short, so pytest's own folder will not do.
    folder = Path(tempfile.mkdtemp(prefix="tg-nagios-"))
    process: subprocess.Popen[bytes] | None = None
    try:
        _write(folder, curl_url, notify_url, token, services, set(renotify), set(flapping))
        process = subprocess.Popen(
            [nagios, str(folder / "nagios.cfg")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        wait_for((folder / "nagios.cmd").exists, "Nagios to open its command file")
        yield Nagios(folder, process.pid)
    finally:
        if process is not None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait(5)
            if process.stdout is not None:
                process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)


def _write(
    folder: Path,
    curl_url: str,
    notify_url: str,
    token: str,
    services: Iterable[str],
    renotify: set[str],
    flapping: set[str],
) -> None:
    (folder / "results").mkdir()
    user = getpass.getuser()
    main = MAIN.format(folder=folder, user=user, group=os.getgid())
    (folder / "nagios.cfg").write_text(main)
    objects = [
        SERVICE.format(name=name, interval=1 if name in renotify else 0, flap=int(name in flapping))
        for name in services
    ]
    (folder / "objects.cfg").write_text(OBJECTS + NONE + "".join(objects))
    # The shipped files as they are; only what their comments tell the administrator to change is changed.
    options = (SHIPPED / "ticket-gateway.curl").read_text()
    options = options.replace("https://gateway.example.org/in/nagios", curl_url).replace("CHANGE-ME", token)
    (folder / "ticket-gateway.curl").write_text(options)
    definitions = (SHIPPED / "ticket-gateway.cfg").read_text()
    definitions = definitions.replace("/etc/nagios4/ticket-gateway.curl", str(folder / "ticket-gateway.curl"))
    (folder / "ticket-gateway.cfg").write_text(definitions)
    config = folder / "notify.conf"
    config.write_text(f"[gateway]\nurl = {notify_url}\ntoken = {token}\nspool = {folder}/spool\n")
    config.chmod(0o600)
    words = f"{sys.executable} {NOTIFY} --config {config} nagios"
    by_notify = (SHIPPED / "ticket-gateway-notify.cfg").read_text()
    by_notify = by_notify.replace("/usr/local/bin/ticket-gateway-notify nagios", words)
    (folder / "ticket-gateway-notify.cfg").write_text(by_notify)
