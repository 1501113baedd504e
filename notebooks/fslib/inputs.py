"""Windows of values -> rows of a model's input, by the very formulas that the service uses.

The card of a model names its normalisation. `none`: values as they are. `window`: minus the median M of the values there
are, over max(1.4826 * median|x - M|, 1e-3 * |M|, 1e-9). `running`, with g = 1 - exp(-step / days) and n values seen: the first
value is the mean, its deviation 0; of each later one, with h = max(1/(n+1), g), first d += h (|x - m| - d), then
m += h (x - m); gaps change nothing. All values of a window are taken minus m, over max(d, 1e-3 |m|, 1e-9), m and d as they
were before the newest value (of a forecast: before the one that is forecast), within +-20. Then gaps are 0.
A metric of which less than half the window is there has no input. In float64 until the last step, which rounds to float32.
"""

import numpy as np

CLIP = 20.0
PRESENT_LEAST = 0.5
FLOAT_MAX = 3e38


def least_scale(spread, level):
    return np.maximum(np.maximum(spread, 1e-3 * np.abs(level)), 1e-9)


def running(values, days, step_ms):
    """Mean and scale before each value; NaN before the first."""
    rate = 1 - np.exp(-step_ms / (days * 86_400_000))
    means = np.full(len(values), np.nan)
    scales = np.full(len(values), np.nan)
    n, mean, deviation = 0, np.nan, 0.0
    for i, value in enumerate(values):
        if n > 0:
            means[i] = mean
            scales[i] = least_scale(deviation, mean)
        if np.isnan(value):
            continue
        if n == 0:
            mean = value
        else:
            gain = max(1 / (n + 1), rate)
            distance = value - mean
            deviation += gain * (abs(distance) - deviation)
            mean += gain * distance
        n += 1
    return means, scales


def windows(values, length):
    """Every window of `length` values, oldest first, as rows; row i ends with value i + length - 1."""
    return np.lib.stride_tricks.sliding_window_view(values, length)


def normalised(rows, normalisation, means=None, scales=None):
    """Rows in the model's units, NaN where there is a gap. `means`, `scales` belong to the newest value of each row."""
    by = normalisation["by"]
    if by == "none":
        return np.clip(rows, -FLOAT_MAX, FLOAT_MAX)
    if by == "running":
        z = (rows - means[:, None]) / scales[:, None]
        return np.clip(z, -CLIP, CLIP)
    with np.errstate(all="ignore"):
        centre = median(rows)
        scale = least_scale(1.4826 * median(np.abs(rows - centre[:, None])), centre)
        return np.clip((rows - centre[:, None]) / scale[:, None], -FLOAT_MAX, FLOAT_MAX)


def median(rows):
    """Of the values there are; NaN for a row of gaps."""
    if not np.isnan(rows).any():
        return np.median(rows, axis=1)
    out = np.full(len(rows), np.nan)
    some = ~np.isnan(rows).all(axis=1)
    out[some] = np.nanmedian(rows[some], axis=1)
    return out


def series_inputs(values, length, normalisation, step_ms, forecast=False):
    """Inputs of one series and which windows have one (`window.of` = series): row i ends with value i + length - 1.

    For a forecast, row i ends just before value i + length, which is the one that is scored. Rows whose scored value is a gap,
    or of which less than half is there, have no input.
    """
    values = np.asarray(values, np.float64)
    rows = windows(values[:-1] if forecast else values, length)
    first = length if forecast else length - 1
    means = scales = None
    if normalisation["by"] == "running":
        means, scales = (column[first:] for column in running(values, normalisation["days"], step_ms))
    z = normalised(rows, normalisation, means, scales)
    usable = (np.isfinite(z).sum(axis=1) >= PRESENT_LEAST * length) & np.isfinite(values[first:])
    return np.nan_to_num(z, nan=0.0).astype(np.float32), usable


def entity_inputs(metrics, length, normalisation, step_ms):
    """Inputs of one entity (`window.of` = entity): metric after metric; one that is absent (None) or mostly gaps is 0."""
    count = next(len(values) for values in metrics if values is not None)
    rows = max(0, count - length + 1)
    out = np.zeros((rows, len(metrics), length), np.float32)
    present = np.zeros((rows, len(metrics)), bool)
    for slot, values in enumerate(metrics):
        if values is None:
            continue
        means = scales = None
        if normalisation["by"] == "running":
            means, scales = (column[length - 1 :] for column in running(values, normalisation["days"], step_ms))
        z = normalised(windows(np.asarray(values, np.float64), length), normalisation, means, scales)
        there = np.isfinite(z).sum(axis=1) >= PRESENT_LEAST * length
        out[there, slot] = np.nan_to_num(z[there], nan=0.0)
        present[:, slot] = there
    return out.reshape(rows, -1), present
