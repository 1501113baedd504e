"""Windows as `foreshock windows export` writes them: one row a window of a series."""

import numpy as np
import pandas as pd

KINDS = ["latency", "error", "traffic", "cpu", "memory", "saturation"]


def load(path):
    """The export as a table, ordered by series and time."""
    table = pd.read_parquet(path) if str(path).endswith(".parquet") else pd.read_json(path, lines=True)
    table["time"] = pd.to_datetime(table["time"], utc=True)
    return table.sort_values(["key", "time"], kind="stable").reset_index(drop=True)


def step_ms(table):
    """How far apart windows are: the smallest distance between two of one series, ms."""
    gaps = table.groupby("key")["time"].diff().dropna()
    return int(gaps.min() / pd.Timedelta(milliseconds=1))


def lines(table, column="observed"):
    """By series key: its values on every window from the first of all to the last, NaN where there is none."""
    step = pd.Timedelta(milliseconds=step_ms(table))
    grid = pd.date_range(table["time"].min(), table["time"].max(), freq=step)
    wide = table.pivot_table(index="time", columns="key", values=column, aggfunc="first", dropna=False)
    wide = wide.reindex(grid)
    return grid, {key: wide[key].to_numpy(np.float64) for key in wide.columns}


def entities(table):
    """By entity: {kind: series key}. Of several series of a kind the first by name; kinds it lacks are left out."""
    found = {}
    series = table[["entity", "kind", "key"]].drop_duplicates().sort_values("key")
    for entity, kind, key in series.itertuples(index=False):
        found.setdefault(entity, {}).setdefault(kind, key)
    return found
