"""Floor 1: what the specifications decide; values in, values out."""
