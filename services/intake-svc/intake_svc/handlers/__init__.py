"""Commands and events of intake: load the set, decide each, save the set, say what happened."""
