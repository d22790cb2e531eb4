"""Functions of installed packages, compiled as they are, on arrays of a million elements.

What is not installed is left out; `pip install '.[packages]'` brings all of them.
"""

import functools
import importlib
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..harness import Case, reason
from ..peers import call_variant, loaded
from .arrays import Settings

SIZE = 1_000_000
TOLERANCE = 1e-9  # some take the arc cosine of what is near 1


@dataclass(frozen=True)
class Borrowed:
    """A function of a package by its full name, and what it is called with."""

    path: str
    inputs: Callable[..., tuple]

    @property
    def name(self) -> str:
        """The package and the function."""
        return f"{self.path.partition(':')[0].partition('.')[0]} {self.path.split(':')[1]}"

    def find(self) -> Callable[..., Any]:
        module, _, names = self.path.partition(":")
        return functools.reduce(getattr, names.split("."), importlib.import_module(module))


def _between(*ranges: tuple[float, float], last: tuple = ()) -> Callable[..., tuple]:
    """Vectors of numbers from these ranges, then other arguments."""

    def inputs(generator: np.random.Generator) -> tuple:
        return (*[generator.uniform(low, high, SIZE) for low, high in ranges], *last)

    return inputs


def _image(*ranges: tuple[float, float], last: tuple = ()) -> Callable[..., tuple]:
    """An image whose three channels have numbers from these ranges."""
    ranges = ranges or ((0.0, 1.0),) * 3

    def inputs(generator: np.random.Generator) -> tuple:
        shape = (1000, SIZE // 1000)
        channels = [generator.uniform(low, high, shape) for low, high in ranges]
        return (np.stack(channels, axis=-1), *last)

    return inputs


def _normal(*shapes: tuple[int, ...], last: tuple = ()) -> Callable[..., tuple]:
    def inputs(generator: np.random.Generator) -> tuple:
        return (*[generator.normal(size=shape) for shape in shapes], *last)

    return inputs


def _days(generator: np.random.Generator) -> tuple:
    return (generator.integers(1, 366, SIZE),)


def _two_images(generator: np.random.Generator) -> tuple:
    first, second = _lab(generator), _lab(generator)
    return (*first, *second)


_lab = _image((20, 90), (-20, 20), (-20, 20))
_sea = (30, 38), (2, 25), (0, 5000)
_place = (-80, 80), (-180, 180)
_home = (42.0, -82.0, 200.0)
_sun = (0, 89), (0, 360)
_series = (SIZE,)
_noon = np.datetime64("2020-06-01T12:00:00")

FUNCTIONS = (
    Borrowed("seawater:dens", _between(*_sea)),
    Borrowed("seawater:svel", _between(*_sea)),
    Borrowed("seawater:alpha", _between(*_sea)),
    Borrowed("thermofeel:calculate_utci", _between((270, 310), (0.5, 15), (280, 330), (260, 270))),
    Borrowed("thermofeel:calculate_bgt", _between((270, 310), (280, 330), (0.5, 15))),
    Borrowed("thermofeel:calculate_wind_chill", _between((270, 310), (0.5, 15))),
    Borrowed("pymap3d:geodetic2ecef", _between(*_place, (0, 9000))),
    Borrowed("pymap3d:geodetic2aer", _between(*_place, (0, 9000), last=_home)),
    Borrowed("pymap3d.haversine:anglesep", _between(*_place[::-1], *_place[::-1])),
    Borrowed("skimage.color:rgb2hsv", _image()),
    Borrowed("skimage.color:rgb2lab", _image()),
    Borrowed("skimage.color:rgb2gray", _image()),
    Borrowed("skimage.color:hsv2rgb", _image()),
    Borrowed("colour:XYZ_to_Lab", _image()),
    Borrowed("colour:RGB_to_HSV", _image()),
    Borrowed("colour.difference:delta_E_CIE2000", _two_images),
    Borrowed("pvlib.irradiance:perez", lambda generator: _perez(generator)),
    Borrowed("pvlib.solarposition:declination_spencer71", _days),
    Borrowed("pvlib.atmosphere:gueymard94_pw", _between((2, 25), (10, 100))),
    Borrowed("librosa:hz_to_mel", _between((20, 20000))),
    Borrowed("librosa:A_weighting", _between((20, 20000))),
    Borrowed("librosa:power_to_db", _between((1e-6, 1))),
    Borrowed("skyfield.functions:to_spherical", _normal((3, SIZE))),
    Borrowed("skyfield.functions:mxv", _normal((3, 3, SIZE), (3, SIZE))),
    Borrowed("skyfield.precessionlib:compute_precession", _between((2.45e6, 2.46e6))),
    Borrowed("trimesh.triangles:normals", _normal((SIZE // 4, 3, 3))),
    Borrowed("trimesh.triangles:points_to_barycentric", _normal((SIZE // 4, 3, 3), (SIZE // 4, 3))),
    Borrowed("trimesh.util:unitize", _normal((SIZE, 3))),
    Borrowed("numpy_financial:ipmt", _between((0.001, 0.02), last=(10, 120, 1000.0))),
    Borrowed("numpy_financial:nper", _between((0.001, 0.02), last=(-500.0, 1000.0))),
    Borrowed("transforms3d.quaternions:qmult", _normal((4,), (4,))),
    Borrowed("transforms3d.euler:euler2mat", lambda generator: (0.1, 0.2, 0.3)),
    Borrowed("astropy.coordinates:angular_separation", _between((0, 6), (-1, 1), (0, 6), (-1, 1))),
    Borrowed("astropy.stats:circcorrcoef", _between((0, 6), (0, 6))),
    Borrowed("statsmodels.tools.eval_measures:rmse", _normal(_series, _series)),
    Borrowed("statsmodels.robust.norms:HuberT.rho", lambda generator: _huber(generator)),
    Borrowed(
        "statsmodels.nonparametric.kernels:tricube", lambda g: (0.3, g.normal(size=SIZE), 0.1)
    ),
    Borrowed("scipy.stats:skew", _normal(_series)),
    Borrowed("scipy.stats:zscore", _normal(_series)),
    Borrowed("scipy.optimize:rosen_der", _normal(_series)),
    Borrowed("scipy.special:softmax", _normal((1000, 1000))),
    Borrowed("sklearn.utils.extmath:softmax", _normal((1000, 1000))),
    Borrowed("sklearn.utils.extmath:row_norms", _normal((1000, 1000))),
    Borrowed("metpy.interpolate.geometry:dist_2", _normal(_series, _series, last=(0.0, 1.0))),
    Borrowed("metpy.interpolate.tools:cressman_weights", _between((0, 1), last=(2.0,))),
    Borrowed("filterpy.stats:gaussian", _normal(_series, last=(0.0, 1.0))),
    Borrowed("pyorbital.astronomy:sun_zenith_angle", lambda generator: _sunshine(generator)),
)


def _perez(generator: np.random.Generator) -> tuple:
    diffuse, direct, *rest = _between((10, 300), (0, 900), *_sun, (1, 10))(generator)
    return (30.0, 180.0, diffuse, direct, 1366.0, *rest)


def _huber(generator: np.random.Generator) -> tuple:
    norms = importlib.import_module("statsmodels.robust.norms")
    return norms.HuberT(), generator.normal(size=SIZE)


def _sunshine(generator: np.random.Generator) -> tuple:
    return _noon, *_between(*_place[::-1])(generator)


def _plain(result: Any) -> tuple[np.ndarray, ...]:
    """The arrays and numbers of a result, their dtypes, and where they are not numbers."""
    if isinstance(result, dict):
        result = tuple(result.values())
    if isinstance(result, tuple | list):
        return tuple(array for item in result for array in _plain(item))
    array = np.asarray(result)
    return np.nan_to_num(array) * 1, np.isnan(array) * 1, np.asarray(array.dtype.num)


def _variants(function: Callable[..., Any], arguments: tuple, settings: Settings) -> Iterator[Any]:
    tracejit: types.ModuleType = loaded("tracejit")
    ways = {
        "numpy": lambda: function,
        "tracejit": lambda: tracejit.jit(function),
    }
    for subject, make in ways.items():
        if subject in settings.subjects:
            run = make()
            result = functools.partial(lambda run: _plain(run(*arguments)), run)
            yield call_variant(subject, run, arguments, result=result)


def cases(settings: Settings) -> Iterator[Case]:
    """Every function whose package is installed."""
    for borrowed in FUNCTIONS:
        if not settings.wants(borrowed.name):
            continue
        try:
            function = borrowed.find()
            arguments = borrowed.inputs(np.random.default_rng(0))
        except ImportError as error:
            yield Case("packages", borrowed.name, "", "", (), missing={"numpy": reason(error)})
            continue
        made = list(_variants(function, arguments, settings))
        yield Case("packages", borrowed.name, "1e6", "float64", made, tolerance=TOLERANCE)
