"""Whom failures at the doors are counted against."""

from collections.abc import Callable

from starlette.requests import Request

from portal_svc.domain.addresses import Networks, client_address, counted_as

OriginOf = Callable[[Request], str]


def origins(trusted: Networks) -> OriginOf:
    """Says where a request comes from; X-Forwarded-For counts from proxies in *trusted* alone."""

    def origin_of(request: Request) -> str:
        peer = request.client.host if request.client else ""
        return counted_as(client_address(peer, request.headers.getlist("x-forwarded-for"), trusted))

    return origin_of
