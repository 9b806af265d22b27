"""Load the set, decide each, save the set, say what happened."""
