"""Who vouches for the sender of a mail, found out by ourselves: DKIM, SPF and DMARC, by DNS, after the answer.

Needs the extra ``mail-auth``. The libraries that read what strangers wrote run in a child process that can be stopped
(:mod:`gateway.isolation`) and never touch the network: they say which DNS records they need, and a resolver fetches those.
"""

from gateway.mailauth.checks import SenderChecks
from gateway.mailauth.remembered import remembering

__all__ = ["SenderChecks", "remembering"]
