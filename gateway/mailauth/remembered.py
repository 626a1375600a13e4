"""A receipt that is read again remembers what was found out about its sender: keys change, and nobody asks DNS twice."""

from collections.abc import Mapping
from dataclasses import replace

import orjson

from gateway.journal.protocol import ReceiptView
from gateway.model.receipt import Receipt
from gateway.sources.mail.trust import CHECKED


def remembering(receipt: Receipt, view: ReceiptView) -> Receipt:
    """The receipt, for whoever parses it again without asking anybody (`explain`, the look before a replay)."""
    labels = view.events[0].event.get("labels") if view.events else None
    if not isinstance(labels, Mapping) or "mail.auth" not in labels:
        return receipt
    found = {str(name): str(value) for name, value in labels.items() if str(name).startswith("mail.auth")}
    return replace(receipt, envelope={**receipt.envelope, CHECKED: orjson.dumps(found).decode()})
