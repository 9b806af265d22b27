import asyncio, socket, threading
from uuid import UUID
import pytest, schemathesis
from handoff_kit.service import serve

pytest_plugins = []


async def test_fuzz(feeder, made, built, token, coordinator):
    from pathlib import Path
    import json

    offers = [made() for _ in range(3)]
    await feeder().feed(*offers)
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
    s.close()
    stop = asyncio.Event()
    t = asyncio.create_task(serve(built.app, "127.0.0.1", port, stop))
    await asyncio.sleep(0.3)
    FOOD = str(offers[0].organization_id)

    def run(role):
        import subprocess

        hdr = f"Authorization: Bearer {token(role, organization=FOOD)}"
        r = subprocess.run(
            [
                ".venv/bin/schemathesis",
                "run",
                f"http://127.0.0.1:{port}/partner/openapi.json",
                "-H",
                hdr,
                "-n",
                "25",
                "--checks",
                "not_a_server_error,status_code_conformance,response_schema_conformance,content_type_conformance",
                "--phases",
                "fuzzing,coverage",
                "--exclude-path-regex",
                "healthz|readyz|metrics",
                "--suppress-health-check",
                "all",
            ],
            cwd="/work/main",
            capture_output=True,
            text=True,
            timeout=250,
        )
        return r.stdout[-9000:] + r.stderr[-2000:]

    for role in ("partner", "coordinator"):
        print(await asyncio.to_thread(run, role))
    stop.set()
    await t
