"""What partner decides, apart from any database: an offer's state, a directory's change."""
