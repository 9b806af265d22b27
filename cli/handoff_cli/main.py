"""``handoff``: the command. Each subcommand is a module of ``commands``."""

import typer

from handoff_cli.commands import up as up_

app = typer.Typer(
    name="handoff",
    help="Referrals across agencies: from the doorway to somebody who can help, and back.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("up")(up_.up)


if __name__ == "__main__":
    app()
