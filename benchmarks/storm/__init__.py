"""Random things that random clients do to a server in memory, and what must hold all the while."""
