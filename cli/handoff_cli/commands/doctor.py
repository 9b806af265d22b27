"""``handoff doctor``: looks at the machine and the configuration, says what to mend."""

from typing import Annotated

import typer

from handoff_cli.console import command, print_json
from handoff_cli.home import Home

_MARK = {"ok": "ok  ", "warn": "warn", "bad": "BAD "}


@command
def doctor(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Check this machine and its configuration; exit code 1 when something has to be mended."""
    from handoff_cli.checks import examine

    findings = examine(Home.from_environment())
    if as_json:
        print_json({"ok": all(f.state != "bad" for f in findings),
                    "checks": [vars(f) for f in findings]})  # fmt: skip
    else:
        width = max(len(f.check) for f in findings)
        for finding in findings:
            typer.echo(f"{_MARK[finding.state]}  {finding.check.ljust(width)}  {finding.found}")
            if finding.mend:
                typer.echo(f"      {' ' * width}  -> {finding.mend}")
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(1)
