"""Outbound: webhooks and mail. Nothing here touches the database."""
