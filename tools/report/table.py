"""A table as text."""


def table(rows: dict[str, dict[str, str]]) -> str:
    """Rows of equal columns as text."""
    columns = list(next(iter(rows.values())))
    widths = [max(len(column), *(len(row[column]) for row in rows.values())) + 2 for column in columns]
    first = max(map(len, rows))
    lines = [" " * first + "".join(f"{column:>{width}}" for column, width in zip(columns, widths, strict=True))]
    for name, row in rows.items():
        lines.append(
            f"{name:{first}}" + "".join(f"{row[column]:>{width}}" for column, width in zip(columns, widths, strict=True))
        )
    return "\n".join(lines)
