"""Floor 2: hosts, accounts, sessions, hooks, routing, configuration."""
