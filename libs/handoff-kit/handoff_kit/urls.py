"""Parts of a postgresql:// address exchanged."""


def with_database(url: str, name: str) -> str:
    """*url* with another database name."""
    head, _, tail = url.partition("?")
    base = head.rsplit("/", 1)[0]
    return f"{base}/{name}" + (f"?{tail}" if tail else "")


def with_user(url: str, user: str, password: str) -> str:
    """*url* with another login."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{user}:{password}@{rest.rsplit('@', 1)[-1]}"
