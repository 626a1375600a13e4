"""The only place that persists. See :mod:`gateway.journal.protocol` for what a journal promises."""
