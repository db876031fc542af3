"""Floor 3: sockets, TLS and XML streams."""
