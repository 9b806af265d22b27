"""The portal's edge: tokens, clients and users, pages and their live updates."""
