"""Looking up a metric in the results."""

from __future__ import annotations

from typing import Any

from mm2pl.errors import ConfigError, nearest


def get_metric_value(indicator: str, metrics: dict[str, Any]) -> Any:
    """Return one metric of an evaluator's results.

    Args:
        indicator: The full name (``COCO/AP``), or the part after the prefix (``AP``) if only one
            metric has it.
        metrics: The results.

    Raises:
        ConfigError: No metric, or more than one, has that name.
    """
    if "/" in indicator:
        matches = [name for name in metrics if name == indicator]
    else:
        matches = [name for name in metrics if name.split("/")[-1] == indicator]
    if len(matches) == 1:
        return metrics[matches[0]]
    if matches:
        raise ConfigError(
            f'The indicator "{indicator}" matches multiple metrics {matches}',
            hint="Use the full name.",
        )
    raise ConfigError(
        f'The indicator "{indicator}" can not match any metric in {list(metrics)}',
        choices=nearest(indicator, metrics),
    )
