"""What the portal decides, without input or output: credentials, sign-in, views, figures."""
