"""``routes.yaml``: models, loader with places, secrets, lint, schema."""
