"""Claim, intent, call, outcome; retry schedule, breaker, ordering."""
