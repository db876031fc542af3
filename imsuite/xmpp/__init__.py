"""Floor 0: the words of XMPP: namespaces, addresses, stanzas, errors."""
