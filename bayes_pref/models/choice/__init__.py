"""Choice models: how reward differences become choices."""
