"""Floor 4: one RFC or XEP each."""
