"""The ratios of a run as a small SVG, without any dependency."""

from html import escape
from math import log10
from typing import Any

_WIDTH, _LEFT, _ROW, _BAR = 960, 530, 26, 14
_SCALE = (_WIDTH - _LEFT - 80) / 3  # pixels of a factor of ten; from 1 x to 1,000 x
_GREEN, _AMBER, _GREY = "#1f7a4d", "#b35c00", "#5a6472"


def picture(document: dict[str, Any]) -> str:
    """How many times better ours is than each peer, and which part of its limit it reaches."""
    rows: list[tuple[str, str, float, str]] = []
    for result in document["results"]:
        name = result["id"] + (f" {result['log']}" if result["log"] else "")
        for peer, ratio in result["times_better"].items():
            value = ratio["median"]
            label = f"{name}: {result['what']}, against {peer}"
            rows.append(
                (label, f"{value:.1f} x", max(0.0, log10(max(value, 1.0))) * _SCALE, _GREEN)
            )
        if result["of_limit"] is not None:
            value = result["of_limit"]["median"]
            label = f"{name}: {result['what']}, part of its limit"
            rows.append((label, f"{value:.0%}", min(value, 1.5) * _SCALE, _AMBER))
    height = _ROW * len(rows) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}"'
        f' viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="12" role="img"'
        ' aria-label="Ratios of the benchmarks">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for i, (label, text, length, colour) in enumerate(rows):
        y = 12 + i * _ROW
        parts += [
            f'<text x="{_LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(_short(label))}</text>',
            f'<rect x="{_LEFT}" y="{y}" width="{max(length, 1):.1f}" height="{_BAR}"'
            f' fill="{colour}"/>',
            f'<text x="{_LEFT + max(length, 1) + 6:.1f}" y="{y + 12}">{text}</text>',
        ]
    note = "Green: times better than a peer, each third of the width ten times. Amber: share."
    parts.append(f'<text x="12" y="{height - 10}" fill="{_GREY}">{note}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _short(label: str) -> str:
    return label if len(label) <= 76 else label[:75] + "…"
