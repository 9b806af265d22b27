"""Mail: by SMTP, or as RFC 5322 files where no server is named."""

import asyncio
import os
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib

from notify_svc.domain.delivery import Attempted, Error

_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail. ``id`` names it for ever, so that a second try is the same mail."""

    id: str
    to: str
    subject: str
    text: str
    language: str
    at: datetime


class Mailer(Protocol):
    """A way to send mail; every failure is an outcome."""

    async def send(self, mail: Mail) -> Attempted: ...


def compose(mail: Mail, sender: str) -> EmailMessage:
    """The mail as RFC 5322 text. The Message-ID is the same at every try."""
    message = EmailMessage(policy=SMTP)
    message["From"] = f"Handoff <{sender}>"
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(mail.at)
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    message["Message-ID"] = f"<{mail.id}@{domain}>"
    # No answering machine answers this (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    # After the content, which begins its own headers anew.
    message["Content-Language"] = mail.language
    return message


def _composed(mail: Mail, sender: str) -> EmailMessage | None:
    """The mail, or None where no header can be made of the address, which no try will change."""
    try:
        return compose(mail, sender)
    except (ValueError, AttributeError, LookupError, MessageError):
        return None


class SmtpMailer:
    """Sends by one server. *url*: ``smtp://[user:password@]host[:port]`` or ``smtps://…``."""

    def __init__(self, url: str, sender: str, *, seconds: float = _SECONDS) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._at_once = parts.scheme == "smtps"
        self._port = parts.port or (465 if self._at_once else 25)
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._sender = sender
        self._seconds = seconds

    async def send(self, mail: Mail) -> Attempted:
        """5xx for this recipient or message is final; everything else may be tried again."""
        message = _composed(mail, self._sender)
        if message is None:
            return Attempted(error=Error.MAIL_REFUSED)
        try:
            async with asyncio.timeout(self._seconds):
                await aiosmtplib.send(
                    message,
                    sender=self._sender,
                    recipients=[mail.to],
                    hostname=self._host,
                    port=self._port,
                    username=self._user,
                    password=self._password,
                    use_tls=self._at_once,
                    # None: STARTTLS where the server offers it.
                    start_tls=False if self._at_once else None,
                    timeout=self._seconds,
                )
        except TimeoutError:
            return Attempted(error=Error.TIMEOUT)
        except aiosmtplib.SMTPRecipientsRefused as refused:
            return _refused(refused.recipients[0].code)
        except aiosmtplib.SMTPResponseException as refused:
            about_us = isinstance(refused, aiosmtplib.SMTPAuthenticationError)
            return _refused(0 if about_us else refused.code)
        except (aiosmtplib.SMTPException, OSError):
            return Attempted(error=Error.CONNECTION)
        return Attempted()


def _refused(code: int) -> Attempted:
    final = 500 <= code < 600
    return Attempted(code or None, Error.MAIL_REFUSED if final else Error.MAIL_FAILED)


class FileMailer:
    """Writes each mail to a file of its own; a second try of the same mail overwrites it."""

    def __init__(self, folder: Path, sender: str) -> None:
        self._folder = folder
        self._sender = sender

    async def send(self, mail: Mail) -> Attempted:
        message = _composed(mail, self._sender)
        if message is None:
            return Attempted(error=Error.MAIL_REFUSED)
        try:
            await asyncio.to_thread(self._write, f"{mail.id}.eml", message.as_bytes())
        except OSError:
            return Attempted(error=Error.MAIL_FAILED)
        return Attempted()

    def _write(self, name: str, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        staged = self._folder / f".{name}.new"
        with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        staged.replace(self._folder / name)
        directory = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
