"""The tests of a configuration: its `tests:` section on virtual time, against helpdesks in memory."""
