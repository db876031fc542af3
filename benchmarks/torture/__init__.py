"""Tortures a server under load; looks whether anything that it acknowledged is lost."""
