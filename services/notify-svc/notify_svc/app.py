"""Wiring: the one place where notify's parts meet."""

from fastapi import FastAPI
from handoff_kit.cities import city_folder
from handoff_kit.http import create_app
from handoff_kit.service import Built, Context, Loop, Service
from handoff_kit.settings import SettingsRefused, read

from notify_svc.api import Parts, routers
from notify_svc.api.hub import Hub
from notify_svc.clients.mail import FileMailer, Mailer, SmtpMailer
from notify_svc.clients.webhooks import WebhookClient
from notify_svc.consumers import groups
from notify_svc.consumers.sender import Limits, Sender
from notify_svc.handlers.commands import apply
from notify_svc.handlers.outcomes import record
from notify_svc.handlers.tell import Teller
from notify_svc.settings import NotifySettings, load_policy
from notify_svc.tables.wakes import FEED

MAIL_FOLDER = "outbox-mail"
# Seconds in which outcomes gather: nobody waits for them, and after a crash the delivery is sent
# again under its id either way.
_OUTCOMES_GATHER = 0.025


async def build(context: Context) -> Built:
    """Notify in one process.

    Raises: SettingsRefused, `yamlfile.FileRefused` (the city's policy), CityNotFound.
    """
    return wire(context, read(NotifySettings))


def wire(context: Context, settings: NotifySettings) -> Built:
    """`build` with settings given."""
    if context.keys is None:
        raise SettingsRefused("HANDOFF_KEY_FILE: needed, webhooks' secrets are sealed with it")
    teller = Teller(load_policy(city_folder(context.settings.city)))
    hub = Hub(context.db, context.wakes)
    webhooks = WebhookClient(
        allow_private=settings.webhook_allow_private, total_seconds=settings.webhook_timeout
    )
    sender = Sender(
        context.db,
        context.doorway(record, writers=1, linger=_OUTCOMES_GATHER),
        webhooks,
        _mailer(context, settings),
        context.keys,
        context.wakes,
        context.clock,
        origin=context.settings.origin,
        limits=Limits.of(settings.webhook_concurrency, settings.webhook_timeout),
    )

    keys = context.keys

    def make_app() -> FastAPI:
        return create_app(
            "notify",
            title="Handoff notify",
            verifier=context.verifier,
            routers=routers(
                Parts(
                    db=context.db,
                    doorway=context.doorway(apply),
                    keys=keys,
                    hub=hub,
                    wakes=context.wakes,
                    allow_private=settings.webhook_allow_private,
                )
            ),
            readiness={"database": context.ready},
            description="Feed, live stream, preferences, webhooks and deliveries: of each its own.",
        )

    def committed() -> None:
        told = teller.told.take()
        if told.feed:
            context.wakes.wake(FEED)
        if told.endpoints or told.mail:
            sender.poke(told.endpoints, mail=told.mail)

    async def close() -> None:
        await hub.close()
        await webhooks.close()

    return Built(
        make_app=make_app,
        groups=groups(teller, committed),
        loops=[Loop("notify-sender", sender.run)],
        close=close,
    )


def _mailer(context: Context, settings: NotifySettings) -> Mailer:
    if settings.smtp_url is None:
        return FileMailer(context.settings.home / MAIL_FOLDER, settings.mail_from)
    return SmtpMailer(str(settings.smtp_url), settings.mail_from)


SERVICE = Service(name="notify", package="notify_svc", build=build)
