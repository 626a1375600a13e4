from gateway.journal.protocol import Counts
from gateway.observability.metrics import Metrics, metric_docs


def used() -> Metrics:
    metrics = Metrics(["shop"], ["osticket"])
    metrics.accepted("shop", 0.003)
    metrics.accepted("typed by a stranger", 99.0)
    metrics.refused("stranger", "unknown_source")
    metrics.duplicate("shop")
    metrics.credentials_checked()
    metrics.event("shop", "problem")
    metrics.decision("opened")
    metrics.action("osticket", "create", "delivered", "delivered")
    metrics.attempt("osticket", "create", "delivered", "delivered", 0.2)
    metrics.notice("zammad", "taken")
    metrics.ticket("osticket", 0.4)
    metrics.breaker("osticket", "open")
    metrics.paused("osticket", paused=True)
    metrics.spool(1, 2)
    metrics.fell_back("zammad", "osticket", "rejected")
    metrics.counts(Counts(3, 90.0, {"osticket": 2, "gone": 1}, {"osticket": 40.0}, 1, 2, 4, 5), now=100.0)
    return metrics


def test_every_metric_that_is_scraped_is_documented_and_the_other_way_round() -> None:
    scraped = {
        (sample.name, tuple(sorted(set(sample.labels) - {"le"})))
        for family in used().registry.collect()
        for sample in family.samples
        if not sample.name.endswith(("_created", "_sum", "_count"))
    }
    documented = {
        (doc.name + ("_bucket" if doc.type == "histogram" else ""), tuple(sorted(doc.labels))) for doc in metric_docs()
    }
    assert scraped == documented
    assert all(doc.help.endswith(".") for doc in metric_docs())


def test_names_that_are_not_configured_become_other() -> None:
    value = used().registry.get_sample_value
    assert value("ticket_gateway_receipts_accepted_total", {"source": "other"}) == 1
    assert value("ticket_gateway_receipts_refused_total", {"source": "other", "reason": "unknown_source"}) == 1
    assert value("ticket_gateway_actions_waiting", {"helpdesk": "other"}) == 1
    assert "stranger" not in used().render().decode()


def test_the_histogram_of_accepting_counts_into_the_right_buckets() -> None:
    value = used().registry.get_sample_value
    name = "ticket_gateway_accept_seconds"
    assert [value(f"{name}_bucket", {"le": le}) for le in ("0.0025", "0.005", "10.0", "+Inf")] == [0, 1, 1, 2]
    assert value(f"{name}_count") == 2
    assert value(f"{name}_sum") == 99.003


def test_the_figures_of_the_journal_become_gauges() -> None:
    metrics = used()
    value = metrics.registry.get_sample_value
    assert value("ticket_gateway_oldest_receipt_seconds") == 10
    assert value("ticket_gateway_oldest_action_seconds", {"helpdesk": "osticket"}) == 60
    assert value("ticket_gateway_breaker_state", {"helpdesk": "osticket"}) == 2
    metrics.counts(Counts(0, None, {}, {}, 0, 0, 0, 0), now=200.0)
    assert value("ticket_gateway_actions_waiting", {"helpdesk": "osticket"}) == 0
    assert value("ticket_gateway_oldest_receipt_seconds") == 0
