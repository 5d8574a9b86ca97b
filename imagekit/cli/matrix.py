"""`imagekit matrix`: what is built, and what is not and why."""

from __future__ import annotations

from typing import Any

import click

from imagekit.cli import table
from imagekit.cli.options import config_options, planned
from imagekit.planning.rows import Row, counts, label, plain, rows
from imagekit.support.json_text import dumps


@click.command()
@config_options
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON.")
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="List the combinations that no entry names, however many there are.",
)
def matrix(config: str, as_json: bool, every: bool, **selection: Any) -> None:
    """Show what is built, and what is not and why."""
    checked, plan = planned(config, **selection)
    matrix = checked.matrix
    table_rows = rows(matrix, plan, every=every)
    more = 0 if every else matrix.more
    if as_json:
        lines = plain(table_rows, matrix.recipes.axes)
        document: dict[str, Any] = {"repository": plan.repository, "rows": lines}
        if more:
            document["not_listed"] = more
        click.echo(dumps(document))
    else:
        _print_table(table_rows)
        click.echo(counts(table_rows, more) + (" (show them with --all)" if more else ""))


def _print_table(table_rows: list[Row]) -> None:
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
        for row in table_rows
    )
    columns = ("status", "tag", "aliases", "parent", "why")
    table.show(columns, lines, unbroken="tag", wide_only=("parent",))
