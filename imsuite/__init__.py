"""imsuite: an all-in-one instant messaging server on Twisted."""
