"""The state machine: (incident, event, policy, now) -> (incident, actions, timers)."""
