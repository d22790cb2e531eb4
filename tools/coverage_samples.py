"""What tools/coverage.py tries of NumPy: sample calls by function, and what is left out and why.

A line is `name: call; call; ...`. A call that opens with a parenthesis is of the function that the
line names (of the array `m`, for methods); others are whole expressions, or statements that write.
The letters are arguments, `ARGUMENTS` makes them. The first call is tried in every dtype that NumPy
takes there, each other one in the next dtype of the round.
"""

from __future__ import annotations

import numpy as np

DTYPES = ("f8", "f4", "i8", "c16", "?")

# Arguments that follow the dtype of the round; y has no zeros, and nothing to shift by that is negative.
_SIGNED = np.array([2.5, -1.5, 0.5, -3.25, 1.0, 3.75, -0.25, 4.0, -2.0, 0.0, 1.25, -4.5])
_POSITIVE = np.array([1.0, 2.5, 3.0, 1.5, 4.0, 2.0, 5.0, 1.25, 3.5, 2.25, 4.5, 1.75])
_SQUARE = np.array([[5.0, 1, -1, 2], [1, 6, 2, -1], [-1, 2, 7, 1], [2, -1, 1, 8]])
FOLLOWING = {
    "x": _SIGNED[:6],
    "y": _POSITIVE[:6],
    "v": _SIGNED[4:8],
    "m": _SIGNED.reshape(3, 4),
    "n": _POSITIVE.reshape(3, 4),
    "t": np.concatenate([_SIGNED, _POSITIVE]).reshape(2, 3, 4),
    "s": _SQUARE + np.triu(np.ones((4, 4)), 2),
    "d": _SQUARE,
    "g": np.stack([_SQUARE, _SQUARE + np.eye(4)]),
}
# Arguments of one dtype: indices, masks, what is sorted, bytes, a scalar.
FIXED = {
    "i": np.array([2, 0, 1, 1, 2, 0]),
    "j": np.array([[2, 0, 1, 1], [0, 1, 2, 0], [1, 1, 0, 2]]),
    "k": np.array([3, 1, 1, 0, 5, 3]),
    "b": np.array([True, False, True, True, False, True]),
    "c": _SIGNED.reshape(3, 4) > 0,
    "r": np.array([-3.0, -1.0, 0.0, 1.5, 4.0, 6.0]),
    "f": np.array([0.5, -1.25, 2.0, np.nan, -3.0, 1.0]),
    "h": np.array([[0.5, np.nan, 2.0], [np.nan, -3.0, 1.0]]),
    "u": np.array([3, 200, 17, 255, 0, 64], np.uint8),
    "q": 0.3,
}


def arguments(names: tuple[str, ...], dtype: str) -> list:
    """New arguments of these names; complex ones have imaginary parts, bools are `> 0`."""
    return [_argument(name, dtype) for name in names]


def _argument(name: str, dtype: str):
    if name in FIXED:
        value = FIXED[name]
        return value.copy() if isinstance(value, np.ndarray) else value
    array = FOLLOWING[name]
    if dtype == "?":
        return array > 0
    if dtype == "c16":
        return array + 0.5j * np.roll(array, 1) if name not in "dg" else array.astype(complex)
    return array.astype(dtype)


# By the signature of a ufunc: (number of operands, number of results).
UFUNCS = {
    (
        1,
        1,
    ): "(x); (m, out=np.empty_like(np.NAME(m))); (m.T); (n, where=c, out=np.zeros_like(np.NAME(n)))",
    (1, 2): "(x); (m); (m.T)",
    (
        2,
        1,
    ): "(x, y); (m, n); (m, 2); (n, v[:, None][:3]); (m, n, where=c, out=np.zeros_like(np.NAME(m, n)))",
    (2, 2): "(x, y); (m, n); (m, 2)",
}

NUMPY = """
all: (x); (m, axis=0); (m, axis=1, keepdims=True); (m, where=c)
allclose: (x, y); (m, m, rtol=1e-3, atol=0.1, equal_nan=True)
amax: (x); (m, axis=0); (m, axis=1, keepdims=True); (m, initial=9, where=c)
amin: (x); (m, axis=0); (m, axis=1, keepdims=True); (m, initial=-9, where=c)
angle: (x); (m, deg=True)
any: (x); (m, axis=0); (m, axis=1, keepdims=True); (m, where=c)
append: (x, y); (m, n, axis=0); (m, 3)
apply_along_axis: (np.sum, 0, m); (np.sort, 1, m)
apply_over_axes: (np.sum, t, [0, 2])
arange: (5); (1, 9, 2, dtype='f4'); (q, 3.0); (10.0, 0, -2.5)
argmax: (x); (m, axis=0); (m, axis=1, keepdims=True)
argmin: (x); (m, axis=0); (m, axis=1, keepdims=True)
argpartition: x[np.argpartition(x, 2)][2]; np.take_along_axis(m, np.argpartition(m, 1, axis=0), 0)[1]
argsort: (r); (m, axis=0, kind='stable'); (m, axis=None, stable=True)
argwhere: (x); (m); (m > 1)
around: (x); (m, 1); (m, decimals=-1)
array: (x); ([q, 2.0]); (m, dtype='f4', copy=True); (x, ndmin=2); ([x, y])
array_equal: (x, y); (m, m); (f, f, equal_nan=True)
array_equiv: (x, y); (m, m[0])
array_split: (x, 4); (m, [1, 2], axis=1)
asanyarray: (x); (m, dtype='c16')
asarray: (x); (m, dtype='c16'); ([q, q])
asarray_chkfinite: (x); (m)
ascontiguousarray: (x); (m.T); (m, dtype='c16')
asfortranarray: (x); (m); (m, dtype='c16')
astype: (x, 'f4'); (m, np.complex128); (m, 'i8', copy=False)
atleast_1d: (x); (q); (m, q)
atleast_2d: (x); (q); (m, x)
atleast_3d: (x); (m); (q)
average: (x); (m, axis=0); (m, axis=1, weights=v); (m, weights=n, returned=True); (m, axis=0, keepdims=True)
bartlett: (7); (1)
bincount: (k); (k, weights=r); (k, minlength=9)
blackman: (7); (1)
block: ([x, y]); ([[m, n], [n, m]])
broadcast_arrays: (m, v); (x, q)
broadcast_shapes: ((3, 1), (1, 4)); x + np.ones(np.broadcast_shapes((1,), (6,)))
broadcast_to: (x, (2, 6)); (v, (3, 4))
choose: (i, [x, y, y]); (j, (m, n, n), mode='wrap'); (i, [x, y], mode='clip')
clip: (x, 0, 2); (m, None, 1); (m, v, 3); (m, min=-1, max=1)
column_stack: ((x, y)); ((m, m[:, 0]))
compress: (b, x); (np.array([True, False, True]), m, axis=0)
concat: ((x, y)); ([m, n], axis=1); ([m, n], axis=None); ([x, y], dtype='c16')
concatenate: ((x, y)); ([m, n], axis=1); ([m, n], axis=None); ([x, y], dtype='c16')
convolve: (x, y); (x, v, mode='same'); (x, v, 'valid')
copy: (x); (m.T, order='F')
copyto: (x, y); (m, v); (m, n, where=c); (m, 2)
corrcoef: (m); (m, n); (m, rowvar=False)
correlate: (x, y); (x, v, mode='same'); (x, v, 'full')
count_nonzero: (x); (m, axis=0); (m, axis=1, keepdims=True)
cov: (m); (m, n); (m, rowvar=False, ddof=0); (m, bias=True); (m, fweights=np.array([1, 2, 1, 3])); (m, aweights=np.array([1., 2, 1, 3]))
cross: (m[:, :3], n[:, :3]); (x[:3], y[:3]); (m[:3, :3], n[:3, :3], axis=0)
cumprod: (x); (m, axis=0); (m, axis=1, dtype='f8')
cumsum: (x); (m, axis=0); (m, axis=1, dtype='f8')
cumulative_prod: (x); (m, axis=0); (x, include_initial=True)
cumulative_sum: (x); (m, axis=0); (x, include_initial=True)
delete: (x, 2); (m, 1, axis=0); (x, [0, 3]); (m, slice(0, 2), axis=1); (m, 3)
diag: (x); (m); (m, 1); (x, -1)
diag_indices: (3); m[np.diag_indices(3)]
diag_indices_from: (s); s[np.diag_indices_from(s)]
diagflat: (x); (m, 1)
diagonal: (m); (m, 1); (t, 0, 1, 2)
diff: (x); (m, axis=0); (x, n=2); (m, prepend=0); (m, append=n)
digitize: (x, r); (m, r, right=True); (x, r[::-1])
dot: (x, y); (m, v); (s, s); (m, 2); (t, v)
dsplit: (t, 2)
dstack: ((x, y)); ((m, n))
ediff1d: (x); (x, to_end=0, to_begin=1)
einsum: ('i,i', x, y); ('ij,j->i', m, v); ('ij,kj->ik', m, n); ('ii->i', s); ('...j->...', m); ('ij,jk,kl->il', s, s, s, optimize=True)
einsum_path: ('ij,jk,kl->il', s, s, s)
empty: (3).shape; np.empty((2, 3), 'f4').shape
empty_like: (m).shape; np.empty_like(m, dtype='i4').shape
expand_dims: (x, 0); (m, (0, 2))
extract: (b, x); (m > 0, m)
eye: (3); (3, 4, 1, dtype='f4')
fill_diagonal: (m, 7); (s, v); (m, 2, wrap=True)
fix: (x); (m)
flatnonzero: (x); (m)
flip: (x); (m, 0); (m, (0, 1))
fliplr: (m)
flipud: (m); (x)
fromfunction: (lambda a, b: a * 2 + b, (3, 4)); (lambda a: a > 1, (5,), dtype=int)
full: (3, q); ((2, 3), 7, dtype='f4'); (4, True)
full_like: (x, 2); (m, q, dtype='f4'); (m, 1, shape=(2, 2))
geomspace: (1.0, 100.0, 5); (q, 9.0, num=4, endpoint=False); (1, 1000, 4)
gradient: (x); (m); (m, 2.0, axis=1); (x, r); (m, edge_order=2, axis=0)
hamming: (7); (1)
hanning: (7); (1)
heaviside: (x, y); (m, 0.5)
histogram: (x); (m, bins=4); (x, r); (x, bins=3, range=(-2, 2)); (x, 4, weights=y); (x, 4, density=True)
histogram2d: (x, y); (x, y, bins=3); (x, y, [r, r], density=True)
histogram_bin_edges: (x); (m, 5); (x, 'auto')
histogramdd: (m[:, :2]); (m[:, :2], bins=(2, 3))
hsplit: (x, 3); (m, 2); (m, [1])
hstack: ((x, y)); ((m, n)); ([x, y], dtype='c16')
i0: (x); (m)
identity: (3); (4, dtype='f4')
imag: (x); (m)
indices: ((2, 3)); ((2, 3), dtype='f4'); ((2, 3), sparse=True)
inner: (x, y); (m, n); (m, v); (m, 2)
insert: (x, 1, 5); (m, 1, v, axis=0); (x, [1, 3], [7, 8]); (m, 0, 2, axis=1)
interp: (x, r, y); (m, r, r, left=-1, right=1); (x, r, r, period=4)
intersect1d: (x, y); (k, i, return_indices=True)
isclose: (x, y); (m, n, rtol=0.1, atol=0.5); (f, f, equal_nan=True)
iscomplex: (x); (m)
iscomplexobj: (x); (m)
isfortran: (m); (x)
isin: (x, y); (m, [1, 2]); (k, i, invert=True)
isneginf: (x); (m)
isposinf: (x); (m)
isreal: (x); (m)
isrealobj: (x); (m)
isscalar: (x); (q)
ix_: (k, i); m[np.ix_([0, 2], [1, 3])]; m[np.ix_(j[0][:3] > 0, [1, 3])]
kaiser: (7, 2.0); (5, q)
kron: (x, y); (m, n); (m, x)
lexsort: ((x, y)); ((i, k)); (m, axis=0)
linspace: (0, 1, 5); (q, 2.0, num=7, endpoint=False); (x, y, 3); (0, 9, 4, retstep=True); (0, 9, 4, dtype='i8'); (x, y, 3, axis=1)
logspace: (0, 2, 5); (q, 1.0, num=4, base=2.0); (0, 2, 3, endpoint=False)
mask_indices: (3, np.triu); (3, np.tril, 1)
matrix_transpose: (m); (t)
max: (x); (m, axis=0); (m, axis=(0, 1), keepdims=True); (m, initial=9, where=c)
mean: (x); (m, axis=0); (m, axis=1, keepdims=True); (m, dtype='f4'); (m, where=c)
median: (x); (m, axis=0); (m, axis=1, keepdims=True); (t, axis=(0, 2))
meshgrid: (x, y); (x, v, indexing='ij'); (x, v, sparse=True); (x, v, copy=False)
min: (x); (m, axis=0); (m, axis=(0, 1), keepdims=True); (m, initial=-9, where=c)
moveaxis: (m, 0, 1); (t, (0, 1), (2, 0))
nan_to_num: (f); (x); (h, nan=1.5, posinf=2, neginf=-2); (h, copy=False)
nanargmax: (f); (h, axis=1); (m, axis=0, keepdims=True)
nanargmin: (f); (h, axis=1); (m, axis=0, keepdims=True)
nancumprod: (x); (f); (h, axis=0)
nancumsum: (x); (f); (h, axis=0)
nanmax: (x); (f); (h, axis=0); (h, axis=1, keepdims=True)
nanmean: (x); (f); (h, axis=0); (h, axis=1, keepdims=True); (h, dtype='f4')
nanmedian: (x); (f); (h, axis=0); (h, axis=1, keepdims=True)
nanmin: (x); (f); (h, axis=0); (h, axis=1, keepdims=True)
nanpercentile: (x, 30); (f, 40); (h, [25, 75], axis=1)
nanprod: (x); (f); (h, axis=0); (h, axis=1, keepdims=True)
nanquantile: (x, 0.3); (f, 0.4); (h, [0.25, 0.75], axis=1)
nanstd: (x); (f); (h, axis=0); (h, axis=1, keepdims=True, ddof=1)
nansum: (x); (f); (h, axis=0); (h, axis=1, keepdims=True)
nanvar: (x); (f); (h, axis=0); (h, axis=1, keepdims=True, ddof=1)
ndim: (x); (m)
nonzero: (x); (m); (m > 1)
ones: (3); ((2, 3), 'f4')
ones_like: (x); (m, dtype='i4'); (m, shape=(2, 2))
outer: (x, y); (m, v)
packbits: (b); (c, axis=1); (c, axis=0, bitorder='little')
pad: (x, 2); (m, ((1, 2), (0, 3)), constant_values=7); (x, 3, mode='edge'); (m, 2, 'reflect'); (x, 2, 'wrap'); (x, 2, 'linear_ramp'); (x, 2, 'mean'); (m, 1, 'symmetric')
partition: (x, 2)[2]; (m, 1, axis=0)[1]
percentile: (x, 30); (m, [25, 75], axis=0); (m, 50, axis=1, keepdims=True); (x, 40, method='nearest')
permute_dims: (m); (t, (2, 0, 1))
piecewise: (x, [x < 0, x >= 0], [-1, 1]); (f, [f < 0, f > 1], [lambda w: -w, lambda w: w * 2, 0])
place: (x, b, [7, 8]); (m, c, n)
poly: (x); (s)
polyadd: (x, y); (x, v)
polyder: (x); (x, 2)
polydiv: (x, v); (y, v)
polyfit: (r, y, 2); (r, y, 1, full=True); (r, y, 1, w=y)
polyint: (x); (x, 2, k=[1, 2])
polymul: (x, y); (x, v)
polysub: (x, y); (x, v)
polyval: (x, y); (x, m)
prod: (x); (m, axis=0); (m, axis=1, keepdims=True, dtype='f8'); (m, initial=2, where=c)
ptp: (x); (m, axis=0); (m, axis=1, keepdims=True)
put: (x, [0, 2], [5, 6]); (m, i, y); (m, [1, 99], 4, mode='clip')
put_along_axis: (m, j[:1], 5, 0); (m, j, n, axis=1)
putmask: (x, b, y); (m, c, 3); (m, m > 1, n)
quantile: (x, 0.3); (m, [0.25, 0.75], axis=0); (m, 0.5, axis=1, keepdims=True); (x, 0.4, method='lower')
ravel: (x); (m); (m, order='F')
ravel_multi_index: ((i, k), (4, 6)); ((i, i), (3, 3), order='F'); ((k, k), (3, 3), mode='clip')
real: (x); (m)
real_if_close: (x); (m)
repeat: (x, 2); (m, [1, 2, 3], axis=0); (x, i); (m, 2, axis=1)
require: (x); (m, 'f8', 'C')
reshape: (x, (2, 3)); (m, -1); (m, (4, 3), order='F'); (m, shape=(2, -1), copy=True)
resize: (x, (2, 5)); (m, 3)
roll: (x, 2); (m, 1, axis=0); (m, (1, 2), axis=(0, 1))
rollaxis: (m, 1); (t, 2, 1)
roots: (x); (y)
rot90: (m); (m, 2); (t, 1, axes=(1, 2))
round: (x); (m, 1); (m, decimals=-1)
searchsorted: (r, x); (r, m, side='right'); (r, q)
select: ([x > 1, x < 0], [x, y]); ([c, ~c], [m, n], default=7)
setdiff1d: (x, y); (k, i, assume_unique=False)
setxor1d: (x, y); (k, i)
shape: (x); (m)
sinc: (x); (m)
size: (x); (m, 1)
sort: (x); (m, axis=0); (m, axis=None); (m, axis=1, kind='stable')
sort_complex: (x); (y)
split: (x, 3); (m, [1, 3], axis=1)
squeeze: (x[None]); (m[:, :1]); (m[:, None], axis=1)
stack: ((x, y)); ([m, n], axis=-1); ([x, y], axis=1, dtype='c16')
std: (x); (m, axis=0); (m, axis=1, keepdims=True, ddof=1); (m, where=c); (m, correction=1)
sum: (x); (m, axis=0); (m, axis=1, keepdims=True, dtype='f8'); (t, axis=(0, 2)); (m, initial=2, where=c)
swapaxes: (m, 0, 1); (t, 0, 2)
take: (x, i); (m, [0, 2], axis=1); (m, i, mode='wrap'); (m, 1, axis=0)
take_along_axis: (m, j, axis=1); (m, j, 0); (x, k, None)
tensordot: (m, n, axes=([1], [1])); (s, s); (t, m, 2); (x, y, 0)
tile: (x, 2); (m, (2, 3)); (x, (2, 1))
trace: (s); (m, 1); (t, axis1=1, axis2=2); (m, dtype='f8')
transpose: (m); (t, (1, 0, 2)); (x)
trapezoid: (x); (m, axis=0); (x, r); (m, dx=0.5)
tri: (3); (3, 4, 1, dtype='f4')
tril: (m); (m, 1); (t, -1)
tril_indices: (3); m[np.tril_indices(3, -1, 4)]
tril_indices_from: (s); m[np.tril_indices_from(m, 1)]
trim_zeros: (x); (k, 'f')
triu: (m); (m, 1); (t, -1)
triu_indices: (3); m[np.triu_indices(3, -1, 4)]
triu_indices_from: (s); m[np.triu_indices_from(m, 1)]
union1d: (x, y); (k, i)
unique: (x); (k, return_inverse=True, return_counts=True); (m, axis=0); (k, return_index=True)
unique_all: (x); (k)
unique_counts: (x); (k)
unique_inverse: (x); (k)
unique_values: (x); (k)
unpackbits: (u); (u.reshape(2, 3), axis=1); (u, count=20, bitorder='little')
unravel_index: (k, (2, 3)); (i, (3, 3), order='F'); (4, (2, 3))
unstack: (x); (m, axis=1)
unwrap: (x); (m, axis=0); (x, discont=4.0, period=5.0)
vander: (x); (x, 3); (x, 3, increasing=True)
var: (x); (m, axis=0); (m, axis=1, keepdims=True, ddof=1); (m, where=c); (m, correction=1)
vdot: (x, y); (m, n)
vsplit: (s, 2); (m, [1])
vstack: ((x, y)); ((m, n)); ([x, y], dtype='c16')
row_stack: ((x, y)); ((m, n)); ([x, y], dtype='c16')
where: (b, x, y); (c, m, 0); (m > 1); (c, v, m)
zeros: (3); ((2, 3), 'f4')
zeros_like: (x); (m, dtype='i4'); (m, shape=(2, 2))
ldexp: (x, i); (m, j); (m, 2)
matmul: (m, v); (s, s); (g, g); (x, y); (v, s)
matvec: (m, v); (g, v)
vecmat: (v, s); (v, g)
vecdot: (x, y); (m, n); (m, n, axis=0); (m, v)
arccosh: (y); (n); (n.T); (n, where=c, out=np.zeros_like(np.arccosh(n)))
acosh: (y); (n); (n.T); (n, where=c, out=np.zeros_like(np.acosh(n)))
arctanh: (q); (x / 5); (m / 5, out=np.empty_like(m / 5))
atanh: (q); (x / 5); (m / 5, out=np.empty_like(m / 5))
"""

LINALG = """
cholesky: (d); (g); (d, upper=True)
cond: (s); (s, 1); (g, 'fro'); (s, -2)
cross: (m[:, :3], n[:, :3]); (x[:3], y[:3]); (m[:3, :3], n[:3, :3], axis=0)
det: (s); (g)
diagonal: (m); (t, offset=1)
eig: (d); (g)
eigh: (d); (g, UPLO='U')
eigvals: (d); (g)
eigvalsh: (d); (g, 'U')
inv: (s); (g)
lstsq: (s, v); (s, g[0], rcond=1e-9)
matmul: (m, v[:, None]); (s, s); (g, g)
matrix_norm: (m); (t, keepdims=True); (m, ord=1); (m, ord='nuc')
matrix_power: (s, 3); (s, 0); (g, -2)
matrix_rank: (s); (m, tol=1e-3); (d, hermitian=True)
matrix_transpose: (m); (t)
multi_dot: ([s, s, v]); ([m, s, s])
norm: (x); (m); (m, axis=0); (m, 1); (m, 2, axis=(0, 1)); (x, np.inf); (m, axis=1, keepdims=True); (m, 'nuc')
outer: (x, y); (v, x)
pinv: (s); (m, rcond=1e-9); (d, hermitian=True)
qr: (s); (m, mode='r'); (m.T, 'complete')
slogdet: (s); (g)
solve: (s, v); (g, s); (s, s)
svd: (s); (m, full_matrices=False); (m, compute_uv=False); (d, hermitian=True)
svdvals: (s); (t)
tensordot: (m, n, axes=([1], [1])); (s, s); (t, m, axes=2)
tensorinv: (g[0].reshape(2, 2, 2, 2)); (s, ind=1)
tensorsolve: (s.reshape(2, 2, 2, 2), s[:2, :2]); (s, v)
trace: (s); (m, offset=1); (t, dtype='f8')
vecdot: (x, y); (m, n); (m, n, axis=0)
vector_norm: (x); (m, axis=0); (m, ord=1); (m, axis=1, keepdims=True, ord=3); (m, ord=np.inf)
"""

FFT = """
fft: (x); (m, 5, axis=0); (m, norm='ortho')
fft2: (m); (t, (2, 2), axes=(0, 1)); (m, norm='forward')
fftfreq: (6); (5, q)
fftn: (m); (t, axes=(0, 2)); (m, (2, 2))
fftshift: (x); (m); (m, axes=0)
hfft: (x); (m, 5, axis=0)
ifft: (x); (m, 5, axis=0); (m, norm='ortho')
ifft2: (m); (t, (2, 2), axes=(0, 1))
ifftn: (m); (t, axes=(0, 2))
ifftshift: (x); (m); (m, axes=0)
ihfft: (x); (m, 5, axis=0)
irfft: (x); (m, 5, axis=0); (m, norm='ortho')
irfft2: (m); (t, (2, 2))
irfftn: (m); (t, axes=(0, 2))
rfft: (x); (m, 5, axis=0); (m, norm='ortho')
rfft2: (m); (t, (2, 2))
rfftfreq: (6); (5, q)
rfftn: (m); (t, axes=(0, 2))
"""

NDARRAY = """
T: m.T; t.T
__abs__: abs(x); abs(m)
__add__: x + y; m + v; m + 2
__and__: x & y; m & n; c & True
__bool__: bool(q); x * 2 if bool(np.ndim(x)) else x
__complex__: complex(x[0])
__contains__: 2 in x; q in m
__copy__: (); x.__copy__()
__divmod__: divmod(x, y); divmod(m, 2)
__eq__: x == y; m == 2
__float__: float(x[0])
__floordiv__: x // y; m // 2
__ge__: x >= y; m >= 2
__getitem__: x[1:4]; m[0]; m[:, ::-1]; m[..., None]; x[i]; m[[0, 2], 1]; m[c]; m[-1, -1]; m[i[:2]]
__gt__: x > y; m > 2
__iadd__: x += y; m += v
__iand__: x &= y; c &= True
__ifloordiv__: x //= y; m //= 2
__ilshift__: x <<= y; m <<= 2
__imatmul__: s @= s
__imod__: x %= y; m %= 2
__imul__: x *= y; m *= v
__index__: k[0].__index__()
__int__: int(x[0])
__invert__: ~x; ~c
__ior__: x |= y; c |= True
__ipow__: x **= y; m **= 2
__irshift__: x >>= y; m >>= 1
__isub__: x -= y; m -= v
__iter__: [row * 2 for row in m]; sum(x)
__itruediv__: x /= y; m /= 2
__ixor__: x ^= y; c ^= True
__le__: x <= y; m <= 2
__len__: len(x); m * len(m)
__lshift__: x << y; m << 2
__lt__: x < y; m < 2
__matmul__: m @ v; s @ s
__mod__: x % y; m % 2
__mul__: x * y; m * 2.5
__ne__: x != y; m != 2
__neg__: -x; -m
__or__: x | y; c | False
__pos__: +x; +m
__pow__: x ** y; m ** 2; n ** 0.5
__radd__: 2 + x; q + m
__rand__: 6 & x; True & c
__rdivmod__: divmod(9, y); divmod(9.5, n)
__rfloordiv__: 9 // y; 9.5 // n
__rlshift__: 3 << y; 1 << n
__rmatmul__: m.tolist() @ v; s @ s
__rmod__: 9 % y; 9.5 % n
__rmul__: 2 * x; q * m
__ror__: 6 | x; True | c
__rpow__: 2 ** y; 1.5 ** n
__rrshift__: 99 >> y; 7 >> n
__rshift__: x >> y; m >> 1
__rsub__: 2 - x; q - m
__rtruediv__: 2 / y; q / n
__rxor__: 6 ^ x; True ^ c
__setitem__: x[1:4] = 2; m[0] = v; m[:, ::2] = 7; x[i[:3]] = 5; m[c] = 0; m[...] = n; m[[0, 2], 1] = 3
__sub__: x - y; m - v
__truediv__: x / y; m / 2
__xor__: x ^ y; c ^ True
all: (); (axis=0); (axis=1, keepdims=True)
any: (); (axis=0); (axis=1, keepdims=True)
argmax: (); (axis=0); (axis=1, keepdims=True)
argmin: (); (axis=0); (axis=1, keepdims=True)
argpartition: np.take_along_axis(m, m.argpartition(1), 1)[:, 1]; np.take_along_axis(m, m.argpartition(1, axis=0), 0)[1]
argsort: (axis=0, kind='stable'); r.argsort()
astype: ('f4'); ('c16', copy=False); (np.int32)
byteswap: (); x.byteswap()
choose: i.choose([x, y, y]); j.choose([m, n, n], mode='clip')
clip: (0, 2); (min=-1); (None, v)
compress: ([True, False, True], axis=0); x.compress(b)
conj: (); x.conj()
conjugate: (); x.conjugate()
copy: (); m.T.copy(order='F')
cumprod: (); (axis=0); (1, dtype='f8')
cumsum: (); (axis=0); (1, dtype='f8')
diagonal: (); (1); t.diagonal(0, 1, 2)
dot: (v); x.dot(y)
fill: (3); x.fill(q)
flat: m.flat[2]; [e for e in m.flat]; m.flat[:] = 5
flatten: (); ('F')
imag: m.imag; x.imag
item: (2); x.item(1); x[0].item()
itemsize: m.itemsize; x.itemsize
mT: m.mT; t.mT
max: (); (axis=0); (axis=(0, 1), keepdims=True); (initial=9, where=c)
mean: (); (axis=0); (axis=1, keepdims=True); (dtype='f4'); (where=c)
min: (); (axis=0); (axis=(0, 1), keepdims=True); (initial=-9, where=c)
nbytes: m.nbytes; x.nbytes
ndim: m.ndim; x.ndim
nonzero: (); x.nonzero()
partition: r.partition(2); k.partition(5)
prod: (); (axis=0); (axis=1, keepdims=True, dtype='f8')
put: ([0, 2], [5, 6]); (i, y); ([1, 99], 4, mode='clip')
ravel: (); ('F')
real: m.real; x.real
repeat: (2); ([1, 2, 3], axis=0)
reshape: (-1); (4, 3); ((2, 6), order='F')
resize: m.resize((2, 6)); m.copy().resize((2, 6))
round: (); (1); (decimals=-1)
searchsorted: r.searchsorted(x); r.searchsorted(q, side='right')
shape: m.shape; x.shape
size: m.size; x.size
sort: (); (axis=0); x.sort()
squeeze: m[None].squeeze(); m[:, None].squeeze(axis=1)
std: (); (axis=0); (axis=1, keepdims=True, ddof=1)
strides: m.strides; x.strides
sum: (); (axis=0); (axis=1, keepdims=True, dtype='f8'); (initial=2, where=c)
swapaxes: (0, 1); t.swapaxes(0, 2)
take: (i); ([0, 2], axis=1); (i, mode='wrap')
tobytes: (); x.tobytes()
tolist: (); x.tolist()
trace: (); (1); t.trace(axis1=1, axis2=2)
transpose: (); (1, 0); t.transpose((2, 0, 1))
var: (); (axis=0); (axis=1, keepdims=True, ddof=1)
view: m.view(); m.view('u1'); x.view('i8')
"""

UFUNC = """
reduce: np.add.reduce(x); np.multiply.reduce(m, axis=1); np.maximum.reduce(m, axis=0, keepdims=True); np.logical_and.reduce(m, axis=None); np.add.reduce(m, axis=(0, 1), initial=3, where=c); np.bitwise_or.reduce(k); np.subtract.reduce(x)
accumulate: np.add.accumulate(x); np.multiply.accumulate(m, axis=1); np.maximum.accumulate(m); np.subtract.accumulate(x)
reduceat: np.add.reduceat(x, [0, 3, 1]); np.maximum.reduceat(m, [0, 2], axis=1)
outer: np.multiply.outer(x, y); np.subtract.outer(m, v); np.maximum.outer(x, y)
at: np.add.at(x, i, 1); np.add.at(x, i, y); np.negative.at(x, [0, 2]); np.maximum.at(x, i, y)
"""

# Names in these modules that compute nothing with numbers, by the reason.
LEFT_OUT = {
    "print and describe": "array2string array_repr array_str base_repr binary_repr format_float_positional "
    "format_float_scientific get_printoptions printoptions set_printoptions info typename show_config "
    "show_runtime get_include test",
    "read and write files, text and foreign memory": "from_dlpack frombuffer fromfile fromregex fromstring "
    "genfromtxt load loadtxt save savetxt savez savez_compressed dump dumps tofile",
    "set NumPy's state": "geterr geterrcall seterr seterrcall getbufsize setbufsize",
    "ask about dtypes": "can_cast common_type isdtype issubdtype min_scalar_type mintypecode promote_types "
    "result_type dtype getfield setfield",
    "dates": "busday_count busday_offset is_busday datetime_as_string datetime_data isnat",
    "make matrices": "asmatrix bmat",
    "make functions, or iterate in Python": "frompyfunc fromiter iterable nested_iters",
    "ask where memory lies, or how": "may_share_memory shares_memory base ctypes data flags setflags device "
    "to_device",
}
# Methods of Python's object protocols, which are not arithmetic.
PROTOCOLS = (
    "__array__ __array_finalize__ __array_function__ __array_interface__ __array_namespace__ "
    "__array_priority__ __array_struct__ __array_ufunc__ __array_wrap__ __class__ __class_getitem__ "
    "__deepcopy__ __delattr__ __delitem__ __dir__ __dlpack__ __dlpack_device__ __doc__ __format__ "
    "__getattribute__ __getstate__ __hash__ __init__ __init_subclass__ __new__ __reduce__ __reduce_ex__ "
    "__repr__ __setattr__ __setstate__ __sizeof__ __str__ __subclasshook__ __buffer__ "
    "__release_buffer__"
)
