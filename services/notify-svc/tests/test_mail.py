import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from handoff_kit.faults import activate
from notify_svc.clients.mail import FileMailer, Mail, SmtpMailer
from notify_svc.domain.delivery import Error

MAIL = Mail(
    id="0123456789abcdef",
    to="inspector.one@city.example",
    subject="Novedades en Handoff",
    text="La familia recibió la ayuda con alimentos.\n",
    language="es",
    at=datetime(2026, 3, 2, 15, 0, tzinfo=UTC),
)


@contextlib.asynccontextmanager
async def smtp_server(codes: dict[str, str] | None = None) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that speaks as much of RFC 5321 as is needed; yields its URL and the mails."""
    mails: list[str] = []
    answers = {"RCPT": "250 ok", "MAIL": "250 ok"} | (codes or {})

    serving: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.append(task)
        writer.write(b"220 test ESMTP\r\n")
        while line := await reader.readline():
            verb = line[:4].decode().upper()
            if verb == "EHLO":
                writer.write(b"250-test\r\n250 8BITMIME\r\n")
            elif verb == "DATA":
                writer.write(b"354 go\r\n")
                text = await reader.readuntil(b"\r\n.\r\n")
                mails.append(text.removesuffix(b".\r\n").decode())
                writer.write(b"250 taken\r\n")
            elif verb == "QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(f"{answers.get(verb, '250 ok')}\r\n".encode())
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}", mails
        await asyncio.wait_for(asyncio.gather(*serving), 5)


async def test_by_smtp() -> None:
    async with smtp_server() as (url, mails):
        outcome = await SmtpMailer(url, "handoff@city.example").send(MAIL)
    assert outcome.succeeded
    mail = message_from_bytes(mails[0].encode(), policy=policy.SMTP)
    assert mail["To"] == "inspector.one@city.example"
    assert mail["Message-ID"] == "<0123456789abcdef@city.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content().strip() == "La familia recibió la ayuda con alimentos."


@pytest.mark.parametrize(
    ("codes", "error"),
    [
        ({"RCPT": "550 no such mailbox"}, Error.MAIL_REFUSED),
        ({"RCPT": "451 later"}, Error.MAIL_FAILED),
        ({"MAIL": "421 busy"}, Error.MAIL_FAILED),
    ],
)
async def test_refusals(codes: dict[str, str], error: Error) -> None:
    async with smtp_server(codes) as (url, mails):
        outcome = await SmtpMailer(url, "handoff@city.example").send(MAIL)
    assert outcome.error is error
    assert mails == []


async def test_a_server_that_is_not_there() -> None:
    async with smtp_server() as (url, _):
        pass
    outcome = await SmtpMailer(url, "handoff@city.example").send(MAIL)
    assert outcome.error is Error.CONNECTION


async def test_an_address_of_which_no_header_can_be_made_is_refused_for_good(
    tmp_path: Path,
) -> None:
    """What decodes to a line end would put a header in; no later try would change it."""
    mail = replace(MAIL, to="=?utf-8?q?a=0d=0ab?=@x.example")
    outcome = await FileMailer(tmp_path, "handoff@city.example").send(mail)
    assert outcome.error is Error.MAIL_REFUSED
    async with smtp_server() as (url, mails):
        outcome = await SmtpMailer(url, "handoff@city.example").send(mail)
        assert (await SmtpMailer(url, "handoff@city.example").send(MAIL)).succeeded
    assert outcome.error is Error.MAIL_REFUSED
    assert len(mails) == 1


async def test_a_second_try_overwrites_the_file(tmp_path: Path) -> None:
    mailer = FileMailer(tmp_path / "outbox-mail", "handoff@city.example")
    assert (await mailer.send(MAIL)).succeeded
    assert (await mailer.send(MAIL)).succeeded
    (file,) = (tmp_path / "outbox-mail").iterdir()
    assert file.name == "0123456789abcdef.eml"
    assert file.stat().st_mode & 0o777 == 0o600
    assert message_from_bytes(file.read_bytes(), policy=policy.SMTP)["Content-Language"] == "es"


async def wants_mail(client, mine, email: str, language: str = "en", query: str = "") -> None:
    answer = await client.put(
        f"/notify/v1/preferences{query}",
        json={"email": email, "language": language, "channels": ["feed", "email"]},
        headers=mine | {"if-match": "*"},
    )
    assert answer.status_code == 200, answer.text


async def mails_in(folder: Path, count: int) -> list[Path]:
    async with asyncio.timeout(5):
        while True:
            if len(found := sorted(folder.glob("*.eml"))) >= count:  # noqa: ASYNC240
                return found
            await asyncio.sleep(0.02)


async def test_mail_in_the_persons_language_without_facts(
    client, feeder, a_case, headers, sending, core_settings
) -> None:
    await wants_mail(
        client, headers("inspector", subject="inspector-one"), "inspector.one@city.example", "es"
    )
    case = a_case()
    mine = headers("partner", subject="p1", organization=case.partner)
    await wants_mail(client, mine, "pantry@partner.example", query="?of=organization")
    group = feeder()
    await group.feed(case.named(), source="/handoff/partner")
    await group.feed(case.granted(), case.requested())
    await group.feed(case.settled(), source="/handoff/referral")
    (file,) = await mails_in(core_settings.home / "outbox-mail", 1)
    mail = message_from_bytes(file.read_bytes(), policy=policy.SMTP)
    assert mail["To"] == "inspector.one@city.example"
    text = mail.get_content()
    assert "La familia recibió la ayuda con alimentos." in text
    assert "http://handoff.test/" in text
    for hidden in (str(case.case_id), str(case.offer_id), "Example Food Pantry"):
        assert hidden not in file.read_text()
    await group.feed(case.made(), source="/handoff/referral")
    files = await mails_in(core_settings.home / "outbox-mail", 2)
    receivers = {message_from_bytes(f.read_bytes())["To"] for f in files}
    assert "pantry@partner.example" in receivers


async def test_a_crash_before_it_is_recorded_leaves_one_mail(
    client, feeder, a_case, headers, sending, core_settings, admin
) -> None:
    await wants_mail(
        client, headers("inspector", subject="inspector-one"), "inspector.one@city.example"
    )
    case, group = a_case(), feeder()
    with activate("notify.after_send=raise@1"):
        await group.feed(case.granted(), case.requested())
        await group.feed(case.settled(), source="/handoff/referral")
        await mails_in(core_settings.home / "outbox-mail", 1)
        await asyncio.sleep(0.1)
    await admin.execute("UPDATE notify.delivery SET next_try_at = now()")
    async with asyncio.timeout(5):
        while await admin.fetchval("SELECT status FROM notify.delivery") != "succeeded":
            await asyncio.sleep(0.02)
    assert len(await mails_in(core_settings.home / "outbox-mail", 1)) == 1


async def test_who_no_longer_wants_mail_gets_none(
    client, feeder, a_case, headers, admin, built, core_settings
) -> None:
    mine = headers("inspector", subject="inspector-one")
    await wants_mail(client, mine, "inspector.one@city.example")
    case, group = a_case(), feeder()
    await group.feed(case.granted(), case.requested())
    await group.feed(case.settled(), source="/handoff/referral")
    quiet = {"channels": ["feed"]}
    answer = await client.put(
        "/notify/v1/preferences", json=quiet, headers=mine | {"if-match": '"1"'}
    )
    assert answer.status_code == 200
    stop = asyncio.Event()
    task = asyncio.create_task(built.loops[0].run(stop))
    async with asyncio.timeout(5):
        while await admin.fetchval("SELECT reason FROM notify.delivery") != "not-wanted":
            await asyncio.sleep(0.02)
    stop.set()
    await task
    assert not (core_settings.home / "outbox-mail").exists()


async def test_preferences_have_versions_and_owners(client, headers) -> None:
    mine = headers("inspector", subject="i1")
    first = await client.get("/notify/v1/preferences", headers=mine)
    assert first.headers["etag"] == '"0"'
    body = {"email": "i1@city.example", "language": "es", "channels": ["feed", "email"]}
    path = "/notify/v1/preferences"
    assert (await client.put(path, json=body, headers=mine)).status_code == 428
    fresh = mine | {"if-match": '"0"'}
    assert (await client.put(path, json=body, headers=fresh)).headers["etag"] == '"1"'
    assert (await client.put(path, json=body, headers=fresh)).status_code == 412
    other = await client.get(path, headers=headers("inspector", subject="i2"))
    assert other.json()["email"] is None
    assert (await client.get(f"{path}?of=organization", headers=mine)).status_code == 404
    newest = mine | {"if-match": '"1"'}
    for wrong in (
        {"channels": ["email"]},
        {"email": "a@b.example\r\nBcc: c@d.example"},
        {"email": "=?utf-8?q?a=0d=0ab?=@x.example"},
        {"language": "xx"},
        {"colour": "red"},
    ):
        assert (await client.put(path, json=wrong, headers=newest)).status_code == 422
