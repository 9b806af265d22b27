"""``handoff demo``: plays days of the made-up city."""

import asyncio
import random
from typing import Annotated

import typer

from handoff_cli import running
from handoff_cli.console import CommandFailed, command, print_json, print_table
from handoff_cli.console import progress as bar


@command
def demo(
    *,
    days: Annotated[int, typer.Option(help="How many days.", min=1, max=365)] = 3,
    seed: Annotated[int | None, typer.Option(help="The same seed plays the same days.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Play days of a made-up city: inspections, referrals, answers, withdrawals."""
    from handoff_cli.demo_city.ids import AGENCY
    from handoff_cli.demo_city.play import play
    from handoff_cli.demo_city.story import INSPECTIONS_A_DAY

    system = running.here()
    if running.agency() != AGENCY:
        raise CommandFailed(
            f"this system runs {running.agency()}; the demo plays in the demo city alone"
        )
    chosen = seed if seed is not None else random.SystemRandom().randrange(1, 1_000_000)
    total, done = days * INSPECTIONS_A_DAY, 0
    with bar(f"{days} days of the demo city") as advance:

        def tell(visits: int) -> None:
            nonlocal done
            done += visits
            advance(done, total)

        played = asyncio.run(play(system, days, chosen, tell))
    counts = dict(played.counts)
    if as_json:
        print_json({"seed": chosen, "days": days, "cases": len(played.cases), "counts": counts})
        return
    print_table(("what", "how many"), [("cases", len(played.cases)), *counts.items()])
    typer.echo(f"\nplayed {days} days with seed {chosen}; the pages: {system.address}/")
