"""The unit of what is unusual: what stands out on good parts that were left out. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]
SURE = 0.95
"""How likely nothing on the next good part reaches the limit."""
LIMIT_BY_IMAGE = 5.0
"""The limit where no good part says it; in deviations of the image itself."""
_LEAST_SPREAD = 0.05


def unusual(quality: npt.NDArray[np.float32], deviations: Float64Array, limit: float) -> Float64Array:
    """(N,) 0..1, one half at the limit: how plainly each of N regions stands out, as the odds of its
    quality, times how far its cells are from what is normal."""
    strength = strengths(quality, deviations)
    return np.asarray(strength / (strength + limit), np.float64)


def strengths(quality: npt.NDArray[np.float32], deviations: Float64Array) -> Float64Array:
    """(N,): odds of the quality (0..1) times one more than the deviations."""
    sure = np.clip(np.asarray(quality, np.float64), 1e-6, 1 - 1e-6)
    return np.asarray(sure / (1 - sure) * (1 + np.clip(deviations, 0, None)), np.float64)


def limit_of(most: Sequence[float]) -> float:
    """What the largest strength on the next good part stays below in ``SURE`` of the cases, by the
    largest strength of each good part that was left out (two or more): the upper bound of a prediction
    interval for the logarithm, which widens where good parts are few."""
    from scipy.stats import t

    logs = np.log(np.maximum(np.asarray(most, np.float64), 1e-6))
    spread = max(float(logs.std(ddof=1)), _LEAST_SPREAD)
    reach = float(t.ppf(SURE, len(logs) - 1)) * spread * (1 + 1 / len(logs)) ** 0.5
    return float(np.exp(logs.mean() + reach))
