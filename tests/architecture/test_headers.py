"""A header that a route reads, or answers with, is in its OpenAPI document."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FunctionType
from typing import Any

import pytest
from handoff_kit.settings import SERVICES

OURS = ("handoff_kit.http", *(f"{service}_svc.api" for service in SERVICES))
READ = {"if-match": "If-Match", "idempotency-key": "Idempotency-Key"}


def code_of(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from code_of(constant)


def reached_by(endpoint: Callable[..., Any]) -> list[FunctionType]:
    """The endpoint and every function of our APIs that it names, however deep."""
    found: list[FunctionType] = []
    waiting: list[Any] = [inspect.unwrap(endpoint)]
    while waiting:
        function = waiting.pop()
        if not isinstance(function, FunctionType) or function in found:
            continue
        if not function.__module__.startswith(OURS):
            continue
        found.append(function)
        enclosed = inspect.getclosurevars(function).nonlocals
        for code in code_of(function.__code__):
            names = (*code.co_names, *code.co_freevars)
            waiting += [enclosed.get(n, function.__globals__.get(n)) for n in names]
    return found


def texts_of(endpoint: Callable[..., Any]) -> set[str]:
    """Every text in the code that an endpoint reaches, in small letters."""
    return {
        constant.lower()
        for function in reached_by(endpoint)
        for code in code_of(function.__code__)
        for constant in code.co_consts
        if isinstance(constant, str)
    }


def documented(surface: Any) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    for operation in surface.operations:
        if operation.in_schema:
            path = re.sub(r":\w+}", "}", operation.path)
            yield operation, surface.openapi["paths"][path][operation.method.lower()]


@pytest.mark.parametrize("service", SERVICES)
def test_a_header_that_is_read_is_a_parameter(surfaces: Mapping[str, Any], service: str) -> None:
    hidden = []
    for operation, document in documented(surfaces[service]):
        texts = texts_of(operation.endpoint)
        told = {p["name"] for p in document["parameters"] if p["in"] == "header"}
        read = {name for text, name in READ.items() if text in texts}
        hidden += [f"{operation.method} {operation.path}: {n}" for n in read - told]
    assert hidden == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_version_that_is_told_is_a_header_of_the_answer(
    surfaces: Mapping[str, Any], service: str
) -> None:
    hidden = []
    for operation, document in documented(surfaces[service]):
        answers = [a for s, a in document["responses"].items() if s.startswith("2")]
        tells = "etag" in texts_of(operation.endpoint)
        if tells and not any("ETag" in a.get("headers", ()) for a in answers):
            hidden.append(f"{operation.method} {operation.path}")
    assert hidden == []


def test_what_is_read_deep_down_is_found(surfaces: Mapping[str, Any]) -> None:
    """Were nothing found any more, the tests above would hold of everything."""
    found = {
        (service, operation.method, operation.path): texts_of(operation.endpoint) & {*READ, "etag"}
        for service in SERVICES
        for operation, _ in documented(surfaces[service])
    }
    consent = "/intake/v1/consents/{consent_id}"
    assert found["intake", "POST", f"{consent}/withdraw"] == set(READ)
    assert found["intake", "GET", consent] == {"etag"}
    # By two helpers, one of them the kit's.
    assert found["notify", "PUT", "/notify/v1/preferences"] == {"if-match", "etag"}
    assert found["partner", "GET", "/partner/v1/services"] == set()
