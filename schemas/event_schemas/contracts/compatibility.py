"""FULL_TRANSITIVE: what may change in an event's schema within its major version.

New readers take old events and old readers take new ones, against every release there was. So
optional fields come and go, and nothing else moves; anything else is a new type, ``...v2``.

A closed list that grows breaks the old reader that meets the new code: it parks the event until it
is upgraded. Lists in *growing* may do so all the same (see CONTRIBUTING, "A kind of need").

A body that refuses unknown fields (``additionalProperties: false``; a department's own record) has
one reader, intake, so only old events matter: fields may be added to it and never removed.
"""

from collections.abc import Iterator, Set
from typing import Any

Schema = dict[str, Any]

# What only explains, and what is compared by a rule of its own below.
_SILENT = frozenset({"title", "description", "examples", "$id", "$schema", "$defs", "deprecated"})
_OWN_RULE = frozenset({"properties", "required", "items", "anyOf", "oneOf", "enum", "const"})


def breaks(old: Schema, new: Schema, *, growing: Set[str] = frozenset()) -> list[str]:
    """Every change from *old* to *new* that some reader could not take, as ``path: change``.

    Both are whole schemas as `json_schema` makes them. *growing*: names of closed lists that may
    gain codes.
    """
    return list(_compare(_Node(old, old), _Node(new, new), "", growing))


class _Node:
    """A schema with the document that its references point into."""

    def __init__(self, schema: Schema, root: Schema) -> None:
        self.root = root
        self.name = ""
        while "$ref" in schema:
            self.name = schema["$ref"].rsplit("/", 1)[-1]
            beside = {k: v for k, v in schema.items() if k != "$ref"}
            schema = {**root["$defs"][self.name], **beside}
        self.schema = schema

    def below(self, schema: Schema) -> "_Node":
        return _Node(schema, self.root)

    @property
    def codes(self) -> frozenset[str] | None:
        """The closed list, if this is one. A list of one code is a ``const``."""
        if "enum" in self.schema:
            return frozenset(map(str, self.schema["enum"]))
        return frozenset({str(self.schema["const"])}) if "const" in self.schema else None

    @property
    def branches(self) -> list[Schema]:
        return [*self.schema.get("anyOf", ()), *self.schema.get("oneOf", ())]


def _compare(old: _Node, new: _Node, path: str, growing: Set[str]) -> Iterator[str]:
    here = path or "(body)"
    for keyword in sorted((old.schema.keys() | new.schema.keys()) - _SILENT - _OWN_RULE):
        before, after = old.schema.get(keyword), new.schema.get(keyword)
        if before != after:
            yield f"{here}: {keyword} changed from {before!r} to {after!r}"
    yield from _codes(old, new, here, growing)
    if len(old.branches) != len(new.branches):
        yield f"{here}: type changed, it has {len(new.branches)} forms instead of " + (
            f"{len(old.branches)}"
        )
    for first, second in zip(old.branches, new.branches, strict=False):
        yield from _compare(old.below(first), new.below(second), path, growing)
    if "items" in old.schema and "items" in new.schema:
        items = (old.below(old.schema["items"]), new.below(new.schema["items"]))
        yield from _compare(*items, f"{path}[]", growing)
    yield from _fields(old, new, path, growing)


def _codes(old: _Node, new: _Node, here: str, growing: Set[str]) -> Iterator[str]:
    before, after = old.codes, new.codes
    if before is None and after is None:
        return
    if before is None or after is None:
        yield f"{here}: type changed, a closed list on one side only"
        return
    if before - after:
        yield f"{here}: closed list narrowed, without {', '.join(sorted(before - after))}"
    if after - before and new.name not in growing:
        yield f"{here}: closed list widened by {', '.join(sorted(after - before))}"


def _fields(old: _Node, new: _Node, path: str, growing: Set[str]) -> Iterator[str]:
    before, after = old.schema.get("properties", {}), new.schema.get("properties", {})
    needed_before = set(old.schema.get("required", ()))
    needed_after = set(new.schema.get("required", ()))
    closed = new.schema.get("additionalProperties") is False
    for name in sorted(before.keys() | after.keys()):
        place = f"{path}.{name}" if path else name
        if name not in after:
            if name in needed_before or closed:
                yield f"{place}: removed"
        elif name not in before:
            if name in needed_after:
                yield f"{place}: new and required"
        else:
            if name in needed_after - needed_before:
                yield f"{place}: required now"
            elif name in needed_before - needed_after and not closed:
                yield f"{place}: optional now, and old readers need it"
            yield from _compare(old.below(before[name]), new.below(after[name]), place, growing)
