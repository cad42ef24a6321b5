# SPDX-License-Identifier: GPL-2.0-only
"""Medians and their 95 % bounds."""
import math
import statistics

# Below this many values there is no 95 % interval of a median: even from the smallest to the
# largest of five, 2 / 2^5 = 6 % are outside.
LEAST = 6
NORMAL = statistics.NormalDist()


def bound(values):
    """(low, median, high) of numbers in any unit: the 95 % interval of the median from order
    statistics, which assumes nothing about the distribution. low and high are None below LEAST
    values, and all three without any.

    The k-th smallest and k-th largest bound it with the probability 1 - 2 P(B < k), B binomial
    (n, 1/2); k is the largest for which that is at least 0.95. H. A. David, H. N. Nagaraja,
    Order Statistics, 3rd ed. 2003, section 7.1."""
    v = sorted(values)
    n = len(v)
    if n < LEAST:
        return None, statistics.median(v) if v else None, None
    k = _rank(n)
    return v[k - 1], statistics.median(v), v[n - k]


def _rank(n):
    k, below = 0, 0
    # In whole numbers: 2 ** n leaves the range of floating point at n = 1024.
    while 40 * (below + math.comb(n, k)) <= 2 ** n:
        below += math.comb(n, k)
        k += 1
    return k


def summary(values):
    """bound() as a dict, with the values."""
    low, median, high = bound(values)
    return {"median": median, "low": low, "high": high, "values": list(values)}


def ratio(before, after):
    """after / before of two single numbers: 1 where both are 0 (nothing has changed), infinity
    where only before is, None where either is None."""
    if before is None or after is None:
        return None
    if before == 0:
        return 1.0 if after == 0 else math.inf
    return after / before


def ratio_of_medians(before, after):
    """(low, ratio, high) of median(after) / median(before), two independent samples of numbers
    >= 0, with a 95 % bound. low and high are None below LEAST values on either side, and where
    a 0 has no logarithm.

    D. G. Bonett, R. M. Price, "Confidence intervals for ratios of means and medians", Journal of
    Educational and Behavioral Statistics 45(6), 2020: normal, on the logarithm, whose standard
    error comes from two order statistics of each sample. Rather than a bootstrap: it needs no
    random numbers, and the bootstrapped median of a few values only takes these values."""
    middle = ratio(bound(before)[1], bound(after)[1])
    if min(len(before), len(after)) < LEAST or min(*before, *after) <= 0:
        return None, middle, None
    error = math.hypot(_log_error(before), _log_error(after))
    z = NORMAL.inv_cdf(0.975)
    return middle * math.exp(-z * error), middle, middle * math.exp(z * error)


def _log_error(values):
    """Standard error of the logarithm of the median."""
    v = sorted(values)
    n = len(v)
    rank = max(1, round(n / 2 - math.sqrt(n)))
    outside = sum(math.comb(n, i) for i in range(rank)) / 2 ** n
    return math.log(v[n - rank] / v[rank - 1]) / (2 * NORMAL.inv_cdf(1 - outside))
