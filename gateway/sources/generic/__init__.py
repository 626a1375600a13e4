"""JSON of any shape, mapped by the configuration."""
