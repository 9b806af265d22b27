"""Running systems for tests that cross services."""
