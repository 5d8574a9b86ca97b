"""`imagekit matrix`: what is built, and what is not and why."""

from __future__ import annotations

import json
from typing import Any

import click
import msgspec

from imagekit.cli import table
from imagekit.cli.options import config_options, planned
from imagekit.planning.rows import Row, counts, label, rows


@click.command()
@config_options
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON.")
def matrix(config: str, as_json: bool, **selection: Any) -> None:
    """Show what is built, and what is not and why."""
    checked, plan = planned(config, **selection)
    found = rows(checked.matrix, plan)
    if as_json:
        document = {"repository": plan.repository, "rows": msgspec.to_builtins(found)}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        _print_table(found)
        click.echo(counts(found))


def _print_table(found: list[Row]) -> None:
    styles = {"built": "", "excluded": "yellow", "not listed": "dim", "not selected": "dim"}
    lines = (
        (
            (
                label(row.status),
                row.tag,
                ", ".join(row.aliases),
                row.parent or "",
                row.reason,
            ),
            styles[row.status],
        )
        for row in found
    )
    columns = ("status", "tag", "aliases", "parent", "why")
    table.show(columns, lines, unbroken="tag", wide_only=("parent",))
