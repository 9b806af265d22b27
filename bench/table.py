"""The one table that a run prints."""

from collections.abc import Sequence

from bench.figures import Figure, Result

_HEADS = ("", "measure", "median", "min", "max", "unit", "ours is", "goal")


def table(results: Sequence[Result]) -> str:
    """All results as text: a line each for ours, peers, limit and further figures."""
    lines: list[tuple[str, ...]] = []
    for result in results:
        name = f"{result.what} ({result.log})" if result.log else result.what
        lines.append(_line(result.id, f"{name}: ours", result.ours, result.unit))
        for peer, values in result.peers.items():
            found = result.better_than(values)
            lines.append(_line("", f"  peer: {peer}", values, result.unit, _times(found)))
        if result.limit:
            found = result.of_limit()
            share = f"{found.median:.0%} of it" if found else ""
            lines.append(_line("", f"  limit: {result.limit_is}", result.limit, result.unit, share))
        for other, values in result.others.items():
            lines.append(_line("", f"  {other}", values, ""))
        for goal in result.goals:
            said = {True: "met", False: "MISSED", None: "not judged"}[goal.met]
            lines.append(("", f"  goal: {goal.text}", "", "", "", "", "", said))
        lines += [("", f"  ({note})", "", "", "", "", "", "") for note in result.notes]
    rows = [_HEADS, *lines]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADS))]
    return "\n".join(_format(row, widths) for row in rows)


def _format(row: tuple[str, ...], widths: list[int]) -> str:
    cells = [
        text.rjust(width) if i in (2, 3, 4) else text.ljust(width)
        for i, (text, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _line(
    id_: str, what: str, values: Sequence[float], unit: str, ratio: str = ""
) -> tuple[str, ...]:
    if not values:
        return (id_, what, "-", "", "", unit, ratio, "")
    found = Figure.of(values)
    shown = [number(value) for value in (found.median, found.min, found.max)]
    return (id_, what, *shown, unit, ratio, "")


def number(value: float) -> str:
    """A figure with three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _times(found: Figure | None) -> str:
    return f"{number(found.median)} x better" if found else ""
