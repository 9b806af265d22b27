"""The parts of B5: the real files, the peer, and what bounds it."""
