"""Steps of simulations, each of the whole state."""

import numpy as np

from .record import FusedProgram, square


def grids(count, dtype="f8"):
    def inputs(draw, n):
        side = square(n)
        return tuple([draw.uniform(side, side, low=0.5, dtype=dtype) for _ in range(count)])

    return inputs


def wave(u, before):
    new = 2 * u - before
    inside = 0.2 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4 * u[1:-1, 1:-1])
    new[1:-1, 1:-1] += inside
    return new


def wave_periodic(u, before):
    near = np.roll(u, 1, 0) + np.roll(u, -1, 0) + np.roll(u, 1, 1) + np.roll(u, -1, 1)
    return 2 * u - before + 0.2 * (near - 4 * u)


def dx(a):
    return (np.roll(a, -1, 1) - np.roll(a, 1, 1)) * 0.5


def dy(a):
    return (np.roll(a, -1, 0) - np.roll(a, 1, 0)) * 0.5


def shallow_water(h, u, v):
    dt = 0.01
    new_h = h - dt * (dx(h * u) + dy(h * v))
    new_u = u - dt * (u * dx(u) + v * dy(u) + 9.81 * dx(h))
    new_v = v - dt * (u * dx(v) + v * dy(v) + 9.81 * dy(h))
    return new_h, new_u, new_v


CX, CY = (0, 1, 0, -1, 0, 1, -1, -1, 1), (0, 0, 1, 0, -1, 1, 1, -1, -1)
WEIGHTS = (4 / 9, *[1 / 9] * 4, *[1 / 36] * 4)


def lattice_boltzmann(f):
    f = np.stack([np.roll(f[k], (CY[k], CX[k]), (0, 1)) for k in range(9)])
    rho = f.sum(axis=0)
    ux = sum(CX[k] * f[k] for k in range(9)) / rho
    uy = sum(CY[k] * f[k] for k in range(9)) / rho
    square_ = 1.5 * (ux * ux + uy * uy)
    new = []
    for k in range(9):
        cu = 3 * (CX[k] * ux + CY[k] * uy)
        new.append(f[k] + 0.6 * (WEIGHTS[k] * rho * (1 + cu + 0.5 * cu * cu - square_) - f[k]))
    return np.stack(new)


def upwind(q, u, v):
    left, right = q - np.roll(q, 1, 1), np.roll(q, -1, 1) - q
    down, up = q - np.roll(q, 1, 0), np.roll(q, -1, 0) - q
    return q - 0.1 * (np.where(u > 0, u * left, u * right) + np.where(v > 0, v * down, v * up))


def n_body(x, v, m):
    d = x[None, :, :] - x[:, None, :]
    r3 = ((d * d).sum(axis=-1) + 1e-3) ** -1.5
    a = (d * (r3 * m)[:, :, None]).sum(axis=1)
    v = v + 0.01 * a
    return x + 0.01 * v, v


def maxwell(ez, hx, hy):
    hx = hx - 0.5 * (ez[:, 1:] - ez[:, :-1])
    hy = hy + 0.5 * (ez[1:, :] - ez[:-1, :])
    curl = hy[1:, 1:-1] - hy[:-1, 1:-1] - hx[1:-1, 1:] + hx[1:-1, :-1]
    new = ez.copy()
    new[1:-1, 1:-1] += 0.5 * curl
    return new, hx, hy


def gray_scott(u, v):
    def laplacian(a):
        return np.roll(a, 1, 0) + np.roll(a, -1, 0) + np.roll(a, 1, 1) + np.roll(a, -1, 1) - 4 * a

    uvv = u * v * v
    return u + 0.16 * laplacian(u) - uvv + 0.06 * (1 - u), v + 0.08 * laplacian(v) + uvv - 0.122 * v


def ising_energy(s):
    return -(s * (np.roll(s, 1, 0) + np.roll(s, 1, 1))).sum()


def lennard_jones(x):
    d = x[:, None, :] - x[None, :, :]
    r2 = (d * d).sum(axis=-1) + np.eye(len(x))
    i6 = 1 / r2**3
    return 2 * (i6 * i6 - i6).sum(axis=1)


def vorticity(u, v, w):
    return dx(v) - dy(u), np.sqrt(u * u + v * v + w * w), np.maximum(np.abs(dx(u) + dy(v)), 1e-3)


def heat_3d(u):
    new = u.copy()
    inside = u[1:-1, 1:-1, 1:-1]
    near = u[:-2, 1:-1, 1:-1] + u[2:, 1:-1, 1:-1] + u[1:-1, :-2, 1:-1] + u[1:-1, 2:, 1:-1]
    near = near + u[1:-1, 1:-1, :-2] + u[1:-1, 1:-1, 2:]
    new[1:-1, 1:-1, 1:-1] = inside + 0.1 * (near - 6 * inside)
    return new


def populations(draw, n):
    side = square(n // 8)
    return (draw.uniform(9, side, side, low=0.5, dtype="f8"),)


def bodies(draw, n):
    count = square(n)
    return (
        draw.normal(count, 3, dtype="f8"),
        draw.normal(count, 3, dtype="f8"),
        draw.uniform(count, dtype="f8"),
    )


def fields(draw, n):
    s = square(n)
    return [draw.normal(*shape, dtype="f8") for shape in ((s, s), (s, s - 1), (s - 1, s))]


def cube(draw, n):
    side = int(n ** (1 / 3))
    return (draw.uniform(side, side, side, dtype="f8"),)


def boltzmann_fields(draw, n):
    return bodies(draw, n)[:1]


TIGHT = 1e-10
PROGRAMS = [
    FusedProgram("wave equation", wave, grids(2), tolerance=TIGHT, is_pure=False),
    FusedProgram("wave equation, periodic", wave_periodic, grids(2), tolerance=TIGHT),
    FusedProgram("shallow water", shallow_water, grids(3), tolerance=TIGHT),
    FusedProgram("lattice Boltzmann", lattice_boltzmann, populations, kernels=3, tolerance=TIGHT),
    FusedProgram("advection, upwind", upwind, grids(3), tolerance=TIGHT),
    FusedProgram("n bodies", n_body, bodies, kernels=2, tolerance=TIGHT),
    FusedProgram("Maxwell, FDTD", maxwell, fields, 3, tolerance=TIGHT, is_pure=False),
    FusedProgram("Gray-Scott", gray_scott, grids(2), tolerance=TIGHT),
    FusedProgram("Ising energy", ising_energy, grids(1), tolerance=TIGHT),
    FusedProgram("Lennard-Jones", lennard_jones, boltzmann_fields, tolerance=TIGHT),
    FusedProgram("vorticity and speed", vorticity, grids(3), kernels=3, tolerance=TIGHT),
    FusedProgram("heat in 3-D", heat_3d, cube, tolerance=TIGHT, is_pure=False),
]
