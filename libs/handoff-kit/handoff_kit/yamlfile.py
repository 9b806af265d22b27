"""Load a YAML file through a Pydantic model; every error names the line to mend.

Scalars follow YAML 1.2's core schema more than YAML 1.1: only ``true`` and ``false`` are
booleans (``no`` stays the country), dates and ``9:30`` stay text, ``02110`` keeps its zero, and
keys are always text. Where the model wants text, a number is taken as it was written, so that
code ``105.10`` does not become ``105.1``.
"""

import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import ErrorDetails

M = TypeVar("M", bound=BaseModel)
Loc = tuple[str | int, ...]

MAX_NODES = 200_000
MAX_DEPTH = 50
_TOO_DEEP = f"is nested more than {MAX_DEPTH} deep here"
"""Values in one file, aliases counted each time they are used; a bomb of aliases ends here."""

_STR, _INT, _FLOAT, _BOOL, _NULL = (
    f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null")
)
_TAG_OF_MAP, _TAG_OF_LIST = "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"
_TAB_INDENTS = re.compile(r" *\t")
_WANTS_TEXT = frozenset({"string_type", "enum", "literal_error"})


@dataclass(frozen=True)
class Fault:
    """One thing to mend: its line (from 1; 0: the file), the field's dotted path, what is wrong."""

    line: int
    field: str
    message: str


class FileRefused(Exception):
    """A configuration file that cannot be used; nothing of it was taken."""

    def __init__(self, path: Path, faults: Sequence[Fault]) -> None:
        self.path = path
        self.faults = sorted(faults, key=lambda fault: fault.line)
        super().__init__(path, self.faults)

    def __str__(self) -> str:
        return "\n".join(
            (f"{self.path}:{fault.line}: " if fault.line else f"{self.path}: ")
            + (f"field '{fault.field}': " if fault.field else "")
            + fault.message
            for fault in self.faults
        )


class Misfit(ValueError):
    """For a model's validators: faults at places inside the value that is validated.

    ``Misfit([(("rows", 3, "need"), "no such kind of need")])`` is reported at that row's line.
    """

    def __init__(self, places: Sequence[tuple[Loc, str]]) -> None:
        self.places = list(places)
        super().__init__("; ".join(message for _, message in self.places))


@dataclass
class Document:
    """A parsed file: its value, and for each place the line it stands on."""

    path: Path
    value: Any
    lines: dict[Loc, int] = field(default_factory=dict)
    texts: dict[Loc, str] = field(default_factory=dict)  # plain scalars read as no text

    def line(self, loc: Loc) -> int:
        """The line (from 1) of the place, or of the nearest place around it."""
        while loc not in self.lines and loc:
            loc = loc[:-1]
        return self.lines.get(loc, 1)


# Written in C where PyYAML was built so: five times as quick, with the same marks.
_Base: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


class _Loader(_Base):  # type: ignore[misc]
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


for _tag, _pattern, _first in (
    (_NULL, r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    (_BOOL, r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    (_INT, r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    (_FLOAT, r"[-+]?(?:0|[1-9][0-9]*)?\.[0-9]+(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), _first)


def load(path: Path, model: type[M]) -> M:
    """Read and validate ``path``.

    Raises `FileRefused` for a file that cannot be read, is no YAML, has unknown or duplicate
    keys, or does not fit the model; with all faults of the first kind that is found.
    """
    return validate(parse(path), model)


def parse(path: Path) -> Document:
    """Read ``path`` as YAML, without a model. Raises `FileRefused`."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise _refused(path, 0, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _refused(path, line, "is not UTF-8 text here; save the file as UTF-8") from error
    try:
        _check_depth(path, text)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = mark.line + 1 if mark else 1
        message = " ".join(filter(None, (error.context, error.problem)))
        if _TAB_INDENTS.match("".join(text.splitlines()[where - 1 : where])):
            message = "a tab indents this line, which YAML does not allow; write spaces"
        raise _refused(path, where, f"is no YAML: {message}") from error
    except yaml.YAMLError as error:
        raise _refused(path, 1, f"is no YAML: {error}") from error
    if node is None:
        raise _refused(path, 1, "is empty")
    return _Builder(path).build(node)


def _check_depth(path: Path, text: str) -> None:
    """Before nodes are made of it, which takes the stack of C. Raises `FileRefused`, YAMLError."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise _refused(path, line, _TOO_DEEP)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def validate(document: Document, model: type[M]) -> M:
    """The document as ``model``. Raises `FileRefused`; unknown keys are always an error."""
    value = document.value
    for _ in range(2):
        try:
            return model.model_validate(value, extra="forbid")
        except ValidationError as error:
            problems = error.errors(include_url=False)
            as_text = {
                loc
                for problem in problems
                if problem["type"] in _WANTS_TEXT
                for loc in [_place(document, problem["loc"])]
                if loc in document.texts
            }
            if not as_text:
                break
            value = _with_texts(value, (), {loc: document.texts[loc] for loc in as_text})
    raise FileRefused(document.path, list(_faults(document, problems, model)))


def lines(path: Path) -> dict[Loc, int]:
    """The line (from 1) of each place in the file. Raises `FileRefused` as `parse` does."""
    return parse(path).lines


def _refused(path: Path, line: int, message: str) -> FileRefused:
    return FileRefused(path, [Fault(line, "", message)])


class _Builder:
    """Turns nodes into values and remembers their lines."""

    def __init__(self, path: Path) -> None:
        self.document = Document(path, None)
        self.faults: list[Fault] = []
        self.count = 0

    def build(self, node: yaml.Node) -> Document:
        self.document.value = self._value(node, (), ())
        if self.faults:
            raise FileRefused(self.document.path, self.faults)
        return self.document

    def _fault(self, node: yaml.Node, loc: Loc, message: str) -> None:
        self.faults.append(Fault(node.start_mark.line + 1, _dotted(loc), message))

    def _value(self, node: yaml.Node, loc: Loc, above: tuple[int, ...]) -> Any:
        self.count += 1
        if self.count > MAX_NODES:
            raise _refused(self.document.path, 1, f"holds more than {MAX_NODES} values")
        self.document.lines.setdefault(loc, node.start_mark.line + 1)
        if len(above) > MAX_DEPTH:  # By aliases, each of which holds the one before.
            raise _refused(self.document.path, node.start_mark.line + 1, _TOO_DEEP)
        if id(node) in above:
            self._fault(node, loc, "an alias refers to what contains it")
            return None
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG_OF_MAP:
            return self._mapping(node, loc, (*above, id(node)))
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG_OF_LIST:
            below = (*above, id(node))
            return [self._value(item, (*loc, i), below) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, loc)
        self._fault(node, loc, f"the tag {node.tag} is not known here; leave it out")
        return None

    def _mapping(
        self, node: yaml.MappingNode, loc: Loc, above: tuple[int, ...]
    ) -> dict[Hashable, Any]:
        found: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._fault(key_node, loc, "a key must be plain text")
                continue
            place = (*loc, key_node.value)
            if key_node.value in found:
                first = self.document.lines[place]
                self._fault(key_node, place, f"stands twice; first in line {first}")
                continue
            self.document.lines[place] = key_node.start_mark.line + 1
            found[key_node.value] = self._value(value_node, place, above)
        return found

    def _scalar(self, node: yaml.ScalarNode, loc: Loc) -> str | int | float | bool | None:
        text = str(node.value)
        if node.tag == _STR:
            return text
        value: int | float | bool | None
        match node.tag:
            case tag if tag == _NULL:
                return None
            case tag if tag == _BOOL:
                value = text.lower() == "true"
            case tag if tag == _INT and re.fullmatch(r"[-+]?[0-9]{1,4000}", text):
                value = int(text)
            case tag if tag == _FLOAT and re.fullmatch(r"[-+0-9.eE]+", text):
                value = float(text)
            case _:
                self._fault(node, loc, f"the tag {node.tag} is not known here; leave it out")
                return None
        self.document.texts[loc] = text
        return value


def _with_texts(value: Any, loc: Loc, texts: dict[Loc, str]) -> Any:
    if loc in texts:
        return texts[loc]
    if isinstance(value, dict):
        return {key: _with_texts(item, (*loc, key), texts) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_texts(item, (*loc, i), texts) for i, item in enumerate(value)]
    return value


def _place(document: Document, loc: Loc) -> Loc:
    """The part of a Pydantic location that is in the file (a union's branch names are not)."""
    place: Loc = ()
    for part in loc:
        if (*place, part) in document.lines:
            place = (*place, part)
    return place


def _dotted(loc: Loc) -> str:
    return ".".join(str(part) for part in loc)


def _faults(
    document: Document, problems: list[ErrorDetails], model: type[BaseModel]
) -> Iterator[Fault]:
    seen: set[Fault] = set()
    for problem in problems:
        place = _place(document, problem["loc"])
        for inner, message in _messages(problem, place, model):
            fault = Fault(document.line((*place, *inner)), _dotted((*place, *inner)), message)
            if fault not in seen:
                seen.add(fault)
                yield fault


def _messages(
    problem: ErrorDetails, place: Loc, model: type[BaseModel]
) -> Iterator[tuple[Loc, str]]:
    cause = problem.get("ctx", {}).get("error")
    if isinstance(cause, Misfit):
        yield from cause.places
    elif problem["type"] == "missing":
        yield (problem["loc"][-1],), "is missing; add it"
    elif problem["type"] == "extra_forbidden":
        yield (), _unknown_key(place, model)
    elif cause is not None:
        yield (), str(cause)
    else:
        given = problem["input"]
        shown = f" (here: {given!r:.80})" if isinstance(given, str | int | float) else ""
        yield (), problem["msg"] + shown


def _unknown_key(place: Loc, model: type[BaseModel]) -> str:
    allowed = _allowed_keys(model, place[:-1])
    if not allowed:
        return "unknown key; take it out"
    near = get_close_matches(str(place[-1]), allowed, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"unknown key; {hint}Allowed here: {', '.join(allowed)}"


def _allowed_keys(model: type[BaseModel], place: Loc) -> list[str]:
    """The keys a mapping at ``place`` may have, by the model's JSON Schema; empty: not known."""
    try:
        root = model.model_json_schema()
    except PydanticUserError:  # a model with a type that JSON Schema has no words for
        return []
    schemas = _branches(root, root)
    for part in place:
        below: list[dict[str, Any]] = []
        for schema in schemas:
            if isinstance(part, int):
                step = schema.get("items")
            else:
                step = schema.get("properties", {}).get(part, schema.get("additionalProperties"))
            if isinstance(step, dict):
                below.extend(_branches(step, root))
        schemas = below
    return sorted({name for schema in schemas for name in schema.get("properties", {})})


def _branches(schema: dict[str, Any], root: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in schema:
        return _branches(root["$defs"][schema["$ref"].rsplit("/", 1)[-1]], root)
    branches = [*schema.get("anyOf", []), *schema.get("oneOf", []), *schema.get("allOf", [])]
    if branches:
        return [found for branch in branches for found in _branches(branch, root)]
    return [schema]
