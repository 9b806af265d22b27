"""Load the set, decide each member, save the set: `consume` for events, `obey` for commands."""
