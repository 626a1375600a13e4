"""A source kind whose parser misbehaves on demand: what the body begins with decides. Importable, as a child needs it."""

import os
import time
from dataclasses import replace

from gateway.config.models import SourceSettings
from gateway.model.receipt import Parsed, Receipt
from gateway.sources import generic
from gateway.sources.protocol import SourceKind


def parse(receipt: Receipt, settings: SourceSettings) -> Parsed:
    word = receipt.body[:8].decode("ascii", "replace").partition(" ")[0]
    if word == "raise":
        raise RuntimeError("a bug of the parser")
    if word == "hang":
        time.sleep(60)
    if word == "eat":
        hoard = [bytes(receipt.body) * 1000 for _ in range(1000)]
        assert hoard
    if word == "kill":
        os._exit(9)
    return generic.KIND.parse(receipt, settings)


KIND: SourceKind = replace(generic.KIND, parse=parse)
