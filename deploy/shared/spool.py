"""What `ticket-gateway-notify` and `ticket-gateway-pipe` share.

Each of them is one file, to be copied to where it runs; so `docs/make.py` puts what stands below the line into both.
"""

# Python 3.6, and nothing that is slow to import.
# ruff: noqa: ANN001, ANN201, INP001, PTH104, PTH108, PTH110, PTH112, PTH116, PTH118, SIM105

import os
import sys
import time

PROGRAM = "shared"
# ------------------------------------------------------------------------------------------------ into the scripts below

TEMPFAIL = 75  # sysexits.h, EX_TEMPFAIL


def complain(message):
    """One line for the log of whoever started us."""
    safe = "".join(character if character.isprintable() else " " for character in message)
    try:
        sys.stderr.write(f"{PROGRAM}: {safe[:500]}\n")
    except (AttributeError, OSError, ValueError):
        pass  # nobody listens; that must not cost the event


def new_id():
    """A UUIDv7 (RFC 9562): names sort in the order the events were made, to a quarter of a microsecond."""
    stamp = int(time.time() * 4096000)
    value = (stamp // 4096 & (1 << 48) - 1) << 80 | 7 << 76 | (stamp % 4096) << 64 | 2 << 62
    digits = "{:032x}".format(value | int.from_bytes(os.urandom(8), "big") >> 2)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def become_owner(spool):
    """Root works as the spool's owner: a file of root's would stop the user who works off the spool."""
    if os.geteuid() or not os.path.isdir(spool):
        return
    owner = os.stat(spool)
    if owner.st_uid:
        try:
            os.setgroups([])
            os.setgid(owner.st_gid)
            os.setuid(owner.st_uid)
        except OSError as error:
            complain(f"the spool belongs to another user, who may not be able to work it off now ({error})")


def fsync_folder(path):
    """Make the names in a folder durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_durably(spool, folder, name, pieces, mode=0o600):
    """A file that is either there as a whole after a crash, or not at all. `pieces` are its content, in order."""
    temporary = os.path.join(spool, "tmp", f"{name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, os.path.join(spool, folder, name))
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    fsync_folder(os.path.join(spool, folder))
