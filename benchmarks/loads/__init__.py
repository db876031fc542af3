"""The loads: what the sessions do while the server is measured."""
