"""Cross-correlation of two signals that are not known everywhere: how alike they are at each lag, and where most."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Correlation:
    """Two signals' normalised correlation by lag."""

    lags: np.ndarray
    """(L,) in samples, ascending: by how much the second signal is moved to later."""
    values: np.ndarray
    """(L,) in [-1, 1]; NaN where too few samples overlap."""
    overlaps: np.ndarray
    """(L,) number of samples that overlap."""

    def within(self, lowest: float, highest: float) -> "Correlation":
        """The same, of lags between these alone."""
        part = (self.lags >= lowest) & (self.lags <= highest)
        return Correlation(self.lags[part], self.values[part], self.overlaps[part])

    @property
    def scores(self) -> np.ndarray:
        """(L,) Fisher's z, up to a factor: a correlation of few samples is high by chance; -infinity where there is none."""
        known = np.isfinite(self.values)
        clipped = np.clip(np.where(known, self.values, 0.0), -0.999, 0.999)
        return np.where(known, np.arctanh(clipped) * np.sqrt(self.overlaps), -np.inf)

    def best(self) -> int | None:
        """Index of the most significant value; None where there is none."""
        return int(np.argmax(self.scores)) if np.isfinite(self.values).any() else None

    def runner_up(self, distance: int) -> float:
        """The most significant value farther than `distance` samples from the best one, -1 where there is none.

        It is what it would be, as significant, for the best one's overlap.
        """
        best = self.best()
        assert best is not None
        far = self.scores[np.abs(self.lags - self.lags[best]) > distance]
        return float(np.tanh(far.max(initial=-np.inf) / np.sqrt(self.overlaps[best])))

    def peak(self, half_width: int) -> float:
        """The lag of the most significant value, to a fraction of a sample: the vertex of the parabola through its neighbours."""
        best = self.best()
        assert best is not None
        part = slice(max(best - half_width, 0), best + half_width + 1)
        known = np.isfinite(self.values[part])
        return vertex(self.lags[part][known], self.values[part][known])


def vertex(x: np.ndarray, y: np.ndarray) -> float:
    """Where the parabola through the points (N,), (N,) is highest, within them; where `y` is, if it opens upwards."""
    top = float(x[np.argmax(y)])
    if len(x) < 3:
        return top
    bend, slope, _ = np.polyfit(x - top, y, 2)
    return top if bend >= 0 else float(np.clip(top - slope / (2 * bend), x.min(), x.max()))


def correlate(first: np.ndarray, second: np.ndarray, *, min_overlap: int) -> Correlation:
    """Of two signals (N,), (M,), NaN where they are not known: Pearson's correlation over the samples that both know, by lag."""
    size = len(first) + len(second) - 1
    length = 1 << (size - 1).bit_length()
    lags = np.arange(-(len(second) - 1), len(first))

    def terms(signal: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        known = np.isfinite(signal)
        values = np.where(known, signal - signal[known].mean() if known.any() else 0.0, 0.0)
        return known.astype(float), values, values**2

    def by_lag(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        product = np.fft.rfft(a, length) * np.fft.rfft(b[::-1], length)
        return np.fft.irfft(product, length)[:size]

    (know_a, a, aa), (know_b, b, bb) = terms(first), terms(second)
    n = np.round(by_lag(know_a, know_b))
    enough = n >= max(min_overlap, 2)
    count = np.where(enough, n, 1)
    sum_a, sum_b = by_lag(a, know_b), by_lag(know_a, b)
    variance_a = by_lag(aa, know_b) - sum_a**2 / count
    variance_b = by_lag(know_a, bb) - sum_b**2 / count
    covariance = by_lag(a, b) - sum_a * sum_b / count
    # Signals without variation are alike nowhere; rounding leaves a little of it.
    floor = 1e-9 * max(aa.sum(), 1e-30), 1e-9 * max(bb.sum(), 1e-30)
    varies = enough & (variance_a > floor[0]) & (variance_b > floor[1])
    scale = np.sqrt(np.where(varies, variance_a * variance_b, 1.0))
    values = np.where(varies, np.clip(covariance / scale, -1, 1), np.nan)
    return Correlation(lags, values, n.astype(int))


def independent_samples(first: np.ndarray, second: np.ndarray) -> float:
    """How many independent samples two signals (N,) are worth, by Bartlett's formula from their autocorrelations."""
    known = np.isfinite(first) & np.isfinite(second)
    count = int(known.sum())
    if count < 4:
        return 0.0
    products = np.ones(count)
    for signal in (first, second):
        values = np.where(known, signal - signal[known].mean(), 0.0)
        length = 1 << (2 * len(values) - 1).bit_length()
        spectrum = np.abs(np.fft.rfft(values, length)) ** 2
        own = np.fft.irfft(spectrum, length)[:count]
        if own[0] <= 0:
            return 0.0
        products *= own / own[0]
    # Beyond its first zero an autocorrelation is noise.
    zero = np.argmax(products <= 0) if (products <= 0).any() else count
    return count / max(1.0, 1 + 2 * float(products[1:zero].sum()))
