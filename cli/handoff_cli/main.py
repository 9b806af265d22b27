"""``handoff``: the command. Each subcommand is a module of ``commands``."""

import typer

from handoff_cli.commands import audit, clients, import_, keys, parked, policy, users
from handoff_cli.commands.demo import demo
from handoff_cli.commands.disclosures import disclosures
from handoff_cli.commands.doctor import doctor
from handoff_cli.commands.migrate import migrate
from handoff_cli.commands.replay import replay
from handoff_cli.commands.status import status
from handoff_cli.commands.up import up

app = typer.Typer(
    name="handoff",
    help="Referrals across agencies: from the doorway to somebody who can help, and back.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("up")(up)
app.add_typer(import_.app, name="import", no_args_is_help=True)
app.command("demo")(demo)
app.command("status")(status)
app.add_typer(parked.app, name="parked", no_args_is_help=True)
app.command("replay")(replay)
app.add_typer(clients.app, name="clients", no_args_is_help=True)
app.add_typer(keys.app, name="keys", no_args_is_help=True)
app.add_typer(users.app, name="users", no_args_is_help=True)
app.add_typer(policy.app, name="policy", no_args_is_help=True)
app.command("disclosures")(disclosures)
app.add_typer(audit.app, name="audit", no_args_is_help=True)
app.command("migrate")(migrate)
app.command("doctor")(doctor)


if __name__ == "__main__":
    app()
