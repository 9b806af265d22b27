"""Every metric is declared, documented and set somewhere."""

import re
from pathlib import Path

import pytest
from handoff_kit.telemetry import METRICS, MetricSpec

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `(handoff_[a-z_]+)` \| (\w+) \| ([a-z_, ]+) \|", re.MULTILINE)
DECLARING = ROOT / "libs/handoff-kit/handoff_kit/telemetry/metrics.py"
CODE = "\n".join(
    path.read_text()
    for folder in ("libs/handoff-kit/handoff_kit", "services", "cli/handoff_cli")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path != DECLARING and "tests" not in path.relative_to(ROOT).parts
)


def test_the_page_has_the_declared_metrics() -> None:
    page = (ROOT / "docs" / "operations" / "metrics.md").read_text()
    told = {
        name: (kind, tuple(label.strip() for label in labels.split(",")))
        for name, kind, labels in ROW.findall(page)
    }
    assert told == {spec.name: (spec.kind, spec.labels) for spec in METRICS}


@pytest.mark.parametrize("spec", METRICS, ids=lambda spec: spec.name)
def test_a_declared_metric_is_set_somewhere(spec: MetricSpec) -> None:
    assert f'"{spec.name}"' in CODE, "declared, and nothing sets it"


def test_labels_never_hold_ids() -> None:
    for spec in METRICS:
        assert not any(label.endswith("_id") or label == "id" for label in spec.labels), spec.name
