"""Fixtures that every test may use."""

pytest_plugins = ["handoff_kit.testing.plugin"]
