"""Load the set → decide each → save the set → say it. One function per command or kind of event."""
