"""The servers: how each is configured, started and stopped."""
