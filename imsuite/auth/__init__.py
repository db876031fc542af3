"""Floor 3: passwords, SASL mechanisms, twisted.cred."""
