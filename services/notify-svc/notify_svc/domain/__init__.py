"""Who hears what: pure decisions. Nothing here reads a clock, a table or the network."""
