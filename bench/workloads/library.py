"""Programs around LAPACK, Fourier transforms and sorting, which every peer leaves to a library."""

from collections.abc import Callable, Iterator

import numpy as np

from ..harness import Case
from ..program import Program
from .arrays import Settings, array_cases

prange = range


def solve(a, b):
    """Many 3 x 3 systems."""
    return np.linalg.solve(a, b[..., None])[..., 0] * 2.0


def solve_loop(a, b):
    out = np.empty_like(b)
    for i in prange(a.shape[0]):
        out[i] = np.linalg.solve(a[i], b[i]) * 2.0
    return out


def inverse(a, b):
    """Many 3 x 3 inverses, and what they do to a vector."""
    return np.sum(np.linalg.inv(a) * b[:, None, :], axis=-1)


def inverse_loop(a, b):
    out = np.empty_like(b)
    for i in prange(a.shape[0]):
        inverted = np.linalg.inv(a[i])
        for row in range(a.shape[1]):
            out[i, row] = np.sum(inverted[row] * b[i])
    return out


def whiten(x):
    """The Cholesky factor of a covariance."""
    centred = x - np.mean(x, axis=0)
    return np.linalg.cholesky(centred.T @ centred / x.shape[0])


def whiten_loop(x):
    centred = np.empty_like(x)
    for j in prange(x.shape[1]):
        centred[:, j] = x[:, j] - np.mean(x[:, j])
    return np.linalg.cholesky(np.dot(centred.T, centred) / x.shape[0])


def smooth(x, kernel):
    """A convolution of rows by Fourier transforms."""
    return np.fft.irfft(np.fft.rfft(x) * np.fft.rfft(kernel), x.shape[-1])


def spectrum(x):
    return np.abs(np.fft.rfft(x)) ** 2


def sharpened(x):
    """An image, from whose spectrum the middle is taken."""
    found = np.fft.rfft2(x)
    rows, columns = np.fft.fftfreq(x.shape[0]), np.fft.rfftfreq(x.shape[1])
    return np.fft.irfft2(found * (rows[:, None] ** 2 + columns**2), x.shape)


def transformed(x):
    """The transforms of columns, of as many points as there are."""
    return np.fft.fft(x, axis=0)


def ordered(x):
    """Rows in the order of their first elements."""
    return x[np.argsort(x[:, 0])]


def ordered_loop(x):
    return x[np.argsort(x[:, 0])]


def ranked(x):
    return np.sort(x) * 2.0


def ranked_loop(x):
    return np.sort(x) * 2.0


def middle(x):
    return np.median(np.abs(x - 0.5))


def middle_loop(x):
    return np.median(np.abs(x - 0.5))


def determinants(a):
    return np.linalg.det(a) * 2.0


def determinants_loop(a):
    out = np.empty(a.shape[0], a.dtype)
    for i in prange(a.shape[0]):
        out[i] = np.linalg.det(a[i]) * 2.0
    return out


def eigenvalues(a):
    """Of many symmetric matrices."""
    return np.linalg.eigvalsh(a + a.transpose(0, 2, 1))


def eigenvalues_loop(a):
    out = np.empty(a.shape[:2], a.dtype)
    for i in prange(a.shape[0]):
        out[i] = np.linalg.eigvalsh(a[i] + a[i].T)
    return out


def singular(a):
    """The singular values of many matrices."""
    return np.linalg.svd(a, compute_uv=False)


def singular_loop(a):
    out = np.empty(a.shape[:2], a.dtype)
    for i in prange(a.shape[0]):
        out[i] = np.linalg.svd(a[i])[1]
    return out


def triangular(a):
    """The diagonals of the triangular factors of many matrices."""
    return np.abs(np.diagonal(np.linalg.qr(a)[1], axis1=1, axis2=2))


def triangular_loop(a):
    out = np.empty(a.shape[:2], a.dtype)
    for i in prange(a.shape[0]):
        out[i] = np.abs(np.diag(np.linalg.qr(a[i])[1]))
    return out


def factors(a):
    """Cholesky's factors of many matrices."""
    return np.linalg.cholesky(a @ a.transpose(0, 2, 1))


def factors_loop(a):
    out = np.empty_like(a)
    for i in prange(a.shape[0]):
        out[i] = np.linalg.cholesky(a[i] @ a[i].T)
    return out


def logarithms(a):
    """Logarithms of determinants."""
    return np.linalg.slogdet(a)[1]


def logarithms_loop(a):
    out = np.empty(a.shape[0], a.dtype)
    for i in prange(a.shape[0]):
        out[i] = np.linalg.slogdet(a[i])[1]
    return out


def inverses(a):
    return np.linalg.inv(a) * 2.0


def inverses_loop(a):
    out = np.empty_like(a)
    for i in prange(a.shape[0]):
        out[i] = np.linalg.inv(a[i]) * 2.0
    return out


def quartiles(x):
    return np.quantile(x, np.array([0.25, 0.5, 0.75]))


def quartiles_loop(x):
    return np.quantile(x, np.array([0.25, 0.5, 0.75])).astype(x.dtype)


def largest(x):
    """The hundred largest."""
    return np.partition(x, -100)[-100:].sum()


def largest_loop(x):
    return np.partition(x, x.size - 100)[-100:].sum()


def distinct(x):
    return np.unique(x)


def distinct_loop(x):
    return np.unique(x)


def lengths(x):
    """Where runs of equal elements begin, and how long they are."""
    starts = np.flatnonzero(x[1:] != x[:-1]) + 1
    edges = np.concatenate((np.array([0]), starts, np.array([x.size])))
    return edges[:-1], np.diff(edges)


def lengths_loop(x):
    starts, counts = np.empty(x.size, np.int64), np.empty(x.size, np.int64)
    runs, first = 0, 0
    for k in range(1, x.size + 1):
        if k == x.size or x[k] != x[k - 1]:
            starts[runs], counts[runs] = first, k - first
            runs, first = runs + 1, k
    return starts[:runs].copy(), counts[:runs].copy()


def most_common(x):
    """The element that is there most often."""
    values, counts = np.unique(x, return_counts=True)
    return values[np.argmax(counts)]


def most_common_loop(x):
    ordered = np.sort(x)
    found, most, first = ordered[0], 0, 0
    for k in range(1, x.size + 1):
        if k == x.size or ordered[k] != ordered[k - 1]:
            if k - first > most:
                found, most = ordered[first], k - first
            first = k
    return found


def counts(x):
    """How many elements lie in each of a hundred intervals."""
    return np.histogram(x, bins=100, range=(-3, 3))[0]


def counts_loop(x):
    """By the intervals' borders, as NumPy does: the quotient may be rounded across one."""
    edges = np.linspace(-3, 3, 101).astype(x.dtype)
    found = np.zeros(100, np.int64)
    for k in range(x.size):
        if -3 <= x[k] <= 3:
            at = min(int((x[k] + 3) * (100 / 6)), 99)
            if x[k] < edges[at]:
                at -= 1
            elif at < 99 and x[k] >= edges[at + 1]:
                at += 1
            found[at] += 1
    return found


def _runs(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    return (np.sort(_repeated(elements, dtype, generator)[0]),)


def _matrices(side: int) -> Callable[..., tuple]:
    """Matrices of this side that are far from singular."""

    def inputs(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
        count = max(elements // (2 * side * side), 1)
        return ((generator.normal(size=(count, side, side)) + side * np.eye(side)).astype(dtype),)

    return inputs


def _repeated(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    return (generator.integers(0, max(elements // 8, 1), elements).astype(dtype),)


def _systems(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    count = max(elements // 12, 1)
    a = generator.normal(size=(count, 3, 3)) + 4 * np.eye(3)
    return a.astype(dtype), generator.normal(size=(count, 3)).astype(dtype)


def _tall(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    return (generator.normal(size=(elements // 32, 32)).astype(dtype),)


def _signals(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    rows = max(elements // 1024, 1)
    return tuple(generator.normal(size=shape).astype(dtype) for shape in ((rows, 1024), (1024,)))


def _image(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    side = int(elements**0.5) // 16 * 16
    return (generator.normal(size=(side, side)).astype(dtype),)


def _columns(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    parts = generator.normal(size=(2, 60, elements // 120))
    return ((parts[0] + 1j * parts[1]).astype(np.result_type(dtype, np.complex64)),)


def _vector(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    return (generator.normal(size=elements).astype(dtype),)


def _rows(elements: int, dtype: np.dtype, generator: np.random.Generator) -> tuple:
    return (generator.normal(size=(elements // 8, 8)).astype(dtype),)


PROGRAMS = (
    Program("solve 3 x 3", solve, _systems, solve_loop),
    Program("inverse 3 x 3", inverse, _systems, inverse_loop),
    Program("Cholesky of a covariance", whiten, _tall, whiten_loop),
    Program("convolution of rows", smooth, _signals),
    Program("power spectrum", spectrum, _vector),
    Program("filter of an image", sharpened, _image),
    Program("transforms of columns", transformed, _columns),
    Program("sort", ranked, _vector, ranked_loop),
    Program("argsort and gather", ordered, _rows, ordered_loop),
    Program("median", middle, _vector, middle_loop),
    Program("det 8 x 8", determinants, _matrices(8), determinants_loop),
    Program("det 24 x 24", determinants, _matrices(24), determinants_loop),
    Program("det 64 x 64", determinants, _matrices(64), determinants_loop),
    Program("eigvalsh 3 x 3", eigenvalues, _matrices(3), eigenvalues_loop),
    Program("singular values 8 x 8", singular, _matrices(8), singular_loop),
    Program("QR 8 x 8", triangular, _matrices(8), triangular_loop),
    Program("inverse 4 x 4", inverses, _matrices(4), inverses_loop),
    Program("inverse 8 x 8", inverses, _matrices(8), inverses_loop),
    Program("slogdet 6 x 6", logarithms, _matrices(6), logarithms_loop),
    Program("Cholesky 6 x 6", factors, _matrices(6), factors_loop),
    Program("quartiles", quartiles, _vector, quartiles_loop),
    Program("the hundred largest", largest, _vector, largest_loop),
    Program("histogram, 100 intervals", counts, _vector, counts_loop),
    Program("unique", distinct, _repeated, distinct_loop),
    Program("the most common", most_common, _repeated, most_common_loop),
    Program("run lengths", lengths, _runs, lengths_loop),
)


def cases(settings: Settings) -> Iterator[Case]:
    """Every program at every size and dtype."""
    return array_cases("library", PROGRAMS, settings)
