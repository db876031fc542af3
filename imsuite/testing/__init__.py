"""Floor 5: a server for tests of bots and clients."""
