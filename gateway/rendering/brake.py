"""The words of the ticket that tells people of the brake: from the templates' folder ``brake``, or our own."""

import time
from collections.abc import Mapping

from gateway.model.brake import BrakeNews
from gateway.rendering.environment import RenderFailed, run

FOLDER = "brake"
"""The folder under `templates/`; it holds ``title.j2`` and ``body.txt.j2``, both of them optional."""


def brake_words(folder: Mapping[str, str], news: BrakeNews) -> tuple[str, str]:
    """Title and text. A template that is missing or fails is replaced by plain words: people must be told in any case."""
    names: dict[str, object] = {
        "helpdesk": news.helpdesk,
        "limit": news.limit,
        "since": news.since,
        "waiting": news.waiting,
        "titles": list(news.titles),
        "over": news.over,
    }
    title = " ".join(_rendered(folder, "title.j2", names).split()) or _title(news)
    return title[:200], _rendered(folder, "body.txt.j2", names).strip() or _text(news)


def _rendered(folder: Mapping[str, str], name: str, names: Mapping[str, object]) -> str:
    if name not in folder:
        return ""
    try:
        return run("text", f"{FOLDER}/{name}", folder[name], names, clock=time.monotonic)
    except RenderFailed:
        return ""


def _title(news: BrakeNews) -> str:
    if news.over:
        return f"The brake of {news.helpdesk} is off again"
    return f"Too many tickets: {news.waiting} wait for {news.helpdesk}"


def _text(news: BrakeNews) -> str:
    if news.over:
        return "No ticket waits any more."
    listed = "\n".join(f"- {title}" for title in news.titles)
    way = f"ticket-gateway helpdesk release {news.helpdesk}"
    return f"More than {news.limit} tickets are due; {news.waiting} wait. To let them go: {way}\n\n{listed}"
