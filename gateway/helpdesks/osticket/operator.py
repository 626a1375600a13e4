"""What people ask of an osTicket: over its API it only makes tickets."""

from collections.abc import Mapping

from gateway.helpdesks.operations import Operation

_NOT_READ = "osTicket reads nothing over its API"
WHY: Mapping[Operation, tuple[str, str]] = {
    Operation.GET: (_NOT_READ, "open the ticket in osTicket; `ticket-gateway events` shows what the gateway did to it"),
    Operation.SEARCH: (_NOT_READ, "search in osTicket, or `ticket-gateway events ls`"),
    Operation.UPDATE: (
        "osTicket changes no ticket over its API",
        "answer the ticket by mail, or change it in osTicket",
    ),
    Operation.CLOSE: ("osTicket closes nothing over its API", "close it in osTicket"),
    Operation.DELETE: ("osTicket deletes nothing over its API", "delete it in osTicket"),
    Operation.HISTORY: (_NOT_READ, "see the ticket's thread in osTicket, or `ticket-gateway events show`"),
}
"""What osTicket cannot do for people, and what to do instead."""
