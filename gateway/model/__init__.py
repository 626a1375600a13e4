"""The words of the product, as frozen data: receipt, event, decision, incident, action, attempt, outcome.

Everything here is data without behaviour that touches the world. Instants are seconds since the Unix epoch (UTC) as
``float``, durations are seconds as ``float``.
"""
