"""States that step through time: filters, orbits, a recurrent network."""

from typing import Any

import numpy as np

from .record import LoopProgram

prange = range
jax: Any = None
jnp: Any = None
lax: Any = None

SOFTENING = 1e-3


def kalman(measured, f, h, q, r, x, p):
    """Position, speed and acceleration, estimated from measured positions."""
    out = np.empty((measured.size, x.size))
    for t in range(measured.size):
        x = f @ x
        p = f @ p @ f.T + q
        gain = p @ h / (h @ p @ h + r)
        x = x + gain * (measured[t] - h @ x)
        p = p - np.outer(gain, h @ p)
        out[t] = x
    return out


def kalman_numba(measured, f, h, q, r, x, p):
    out = np.empty((measured.size, 3))
    x, p = x.copy(), p.copy()
    predicted, product, row, gain = np.empty(3), np.empty((3, 3)), np.empty(3), np.empty(3)
    for t in range(measured.size):
        for i in range(3):
            predicted[i] = f[i, 0] * x[0] + f[i, 1] * x[1] + f[i, 2] * x[2]
            for j in range(3):
                product[i, j] = f[i, 0] * p[0, j] + f[i, 1] * p[1, j] + f[i, 2] * p[2, j]
        for i in range(3):
            for j in range(3):
                p[i, j] = q[i, j]
                for k in range(3):
                    p[i, j] += product[i, k] * f[j, k]
        variance, innovation = r, measured[t]
        for i in range(3):
            row[i] = h[0] * p[0, i] + h[1] * p[1, i] + h[2] * p[2, i]
            gain[i] = p[i, 0] * h[0] + p[i, 1] * h[1] + p[i, 2] * h[2]
            innovation -= h[i] * predicted[i]
        for i in range(3):
            variance += row[i] * h[i]
        for i in range(3):
            gain[i] /= variance
            x[i] = predicted[i] + gain[i] * innovation
            out[t, i] = x[i]
            for j in range(3):
                p[i, j] -= gain[i] * row[j]
    return out


def kalman_jax(measured, f, h, q, r, x, p):
    def step(state, value):
        x, p = state
        x = f @ x
        p = f @ p @ f.T + q
        gain = p @ h / (h @ p @ h + r)
        x = x + gain * (value - h @ x)
        p = p - jnp.outer(gain, h @ p)
        return (x, p), x

    return lax.scan(step, (x, p), measured)[1]


def lorenz_slope(state):
    x, y, z = state
    return np.array([10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z])


def lorenz(state, dt, steps):
    """Runge-Kutta of fourth order."""
    out = np.empty((steps, 3))
    for t in range(steps):
        k1 = lorenz_slope(state)
        k2 = lorenz_slope(state + dt / 2 * k1)
        k3 = lorenz_slope(state + dt / 2 * k2)
        k4 = lorenz_slope(state + dt * k3)
        state = state + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        out[t] = state
    return out


def lorenz_numba(state, dt, steps):
    out = np.empty((steps, 3))
    x, y, z = state
    half, sixth = dt / 2, dt / 6
    for t in range(steps):
        u, v, w = x, y, z
        a1, b1, c1 = 10.0 * (v - u), u * (28.0 - w) - v, u * v - 8.0 / 3.0 * w
        u, v, w = x + half * a1, y + half * b1, z + half * c1
        a2, b2, c2 = 10.0 * (v - u), u * (28.0 - w) - v, u * v - 8.0 / 3.0 * w
        u, v, w = x + half * a2, y + half * b2, z + half * c2
        a3, b3, c3 = 10.0 * (v - u), u * (28.0 - w) - v, u * v - 8.0 / 3.0 * w
        u, v, w = x + dt * a3, y + dt * b3, z + dt * c3
        a4, b4, c4 = 10.0 * (v - u), u * (28.0 - w) - v, u * v - 8.0 / 3.0 * w
        x += sixth * (a1 + 2 * a2 + 2 * a3 + a4)
        y += sixth * (b1 + 2 * b2 + 2 * b3 + b4)
        z += sixth * (c1 + 2 * c2 + 2 * c3 + c4)
        out[t, 0], out[t, 1], out[t, 2] = x, y, z
    return out


def lorenz_jax(state, dt, steps):
    def slope(state):
        x, y, z = state
        return jnp.array([10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z])

    def step(state, _):
        k1 = slope(state)
        k2 = slope(state + dt / 2 * k1)
        k3 = slope(state + dt / 2 * k2)
        k4 = slope(state + dt * k3)
        state = state + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return state, state

    return lax.scan(step, state, length=steps)[1]


def bodies(position, velocity, mass, dt, steps):
    position, velocity = position.copy(), velocity.copy()
    force = np.empty_like(position)
    for _ in range(steps):
        for i in range(mass.size):
            away = position - position[i]
            square = np.sum(away * away, axis=1) + SOFTENING
            force[i] = (mass / (square * np.sqrt(square))) @ away
        velocity += dt * force
        position += dt * velocity
    return position, velocity


def bodies_numba(position, velocity, mass, dt, steps):
    """Coordinates in columns of their own, which vectorises."""
    x, y, z = position[:, 0].copy(), position[:, 1].copy(), position[:, 2].copy()
    velocity = velocity.copy()
    for _ in range(steps):
        for i in prange(mass.size):
            fx = fy = fz = 0.0
            for j in range(mass.size):
                dx, dy, dz = x[j] - x[i], y[j] - y[i], z[j] - z[i]
                square = dx * dx + dy * dy + dz * dz + SOFTENING
                weight = mass[j] / (square * np.sqrt(square))
                fx += weight * dx
                fy += weight * dy
                fz += weight * dz
            velocity[i, 0] += dt * fx
            velocity[i, 1] += dt * fy
            velocity[i, 2] += dt * fz
        for i in range(mass.size):
            x[i] += dt * velocity[i, 0]
            y[i] += dt * velocity[i, 1]
            z[i] += dt * velocity[i, 2]
    return np.stack((x, y, z), axis=1), velocity


def bodies_jax(position, velocity, mass, dt, steps):
    def step(_, state):
        position, velocity = state
        away = position[None] - position[:, None]
        square = jnp.sum(away * away, axis=2) + SOFTENING
        force = jnp.einsum("ij,ijk->ik", mass / (square * jnp.sqrt(square)), away)
        velocity = velocity + dt * force
        return position + dt * velocity, velocity

    return lax.fori_loop(0, steps, step, (position, velocity))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(x, w, u, b):
    """A long short-term memory, its gates in the order input, forget, output, candidate."""
    steps, batch, _ = x.shape
    hidden = u.shape[0]
    h = np.zeros((batch, hidden), x.dtype)
    c = np.zeros((batch, hidden), x.dtype)
    out = np.empty((steps, batch, hidden), x.dtype)
    for t in range(steps):
        gates = x[t] @ w + h @ u + b
        i = sigmoid(gates[:, :hidden])
        f = sigmoid(gates[:, hidden : 2 * hidden])
        o = sigmoid(gates[:, 2 * hidden : 3 * hidden])
        c = f * c + i * np.tanh(gates[:, 3 * hidden :])
        h = o * np.tanh(c)
        out[t] = h
    return out


def lstm_numba(x, w, u, b):
    """All inputs in one product, the gates in loops."""
    steps, batch, features = x.shape
    n = u.shape[0]
    one = x.dtype.type(1)
    inputs = np.dot(x.reshape(steps * batch, features), w).reshape(steps, batch, 4 * n)
    c = np.zeros((batch, n), x.dtype)
    h = np.zeros((batch, n), x.dtype)
    out = np.empty((steps, batch, n), x.dtype)
    gates = np.empty((batch, 4 * n), x.dtype)
    for t in range(steps):
        np.dot(h, u, gates)
        for k in prange(batch):
            for j in range(n):
                i = one / (one + np.exp(-(gates[k, j] + inputs[t, k, j] + b[j])))
                f = one / (one + np.exp(-(gates[k, n + j] + inputs[t, k, n + j] + b[n + j])))
                place = 2 * n + j
                o = one / (one + np.exp(-(gates[k, place] + inputs[t, k, place] + b[place])))
                place += n
                new = np.tanh(gates[k, place] + inputs[t, k, place] + b[place])
                c[k, j] = f * c[k, j] + i * new
                h[k, j] = o * np.tanh(c[k, j])
                out[t, k, j] = h[k, j]
    return out


def lstm_jax(x, w, u, b):
    hidden = u.shape[0]

    def step(state, value):
        h, c = state
        i, f, o, new = jnp.split(value + h @ u, 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(new)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zeros = jnp.zeros((x.shape[1], hidden), x.dtype)
    return lax.scan(step, (zeros, zeros), x @ w + b)[1]


def _track(size: int, generator: np.random.Generator) -> tuple:
    dt = 0.1
    f = np.array([[1, dt, dt * dt / 2], [0, 1, dt], [0, 0, 1]])
    time = dt * np.arange(size)
    measured = np.sin(0.2 * time) * 10 + generator.normal(size=size)
    h = np.array([1.0, 0.0, 0.0])
    return measured, f, h, 0.01 * np.eye(3), 1.0, np.zeros(3), np.eye(3)


def _orbits(size: int, generator: np.random.Generator) -> tuple:
    position, velocity = generator.normal(size=(2, size, 3))
    return position, velocity, generator.uniform(0.5, 1.0, size) / size, 1e-3, 20


def _sequence(size: int, generator: np.random.Generator) -> tuple:
    features, hidden = size // 2, size
    x = generator.normal(size=(128, 8, features))
    w = generator.normal(size=(features, 4 * hidden)) / features**0.5
    u = generator.normal(size=(hidden, 4 * hidden)) / hidden**0.5
    b = generator.normal(size=4 * hidden)
    return tuple(array.astype(np.float32) for array in (x, w, u, b))


def _attractor(size: int, generator: np.random.Generator) -> tuple:
    return np.array([1.0, 1.0, 1.0]), 0.001, size


PROGRAMS = (
    LoopProgram("Kalman filter", kalman, _track, 10_000, 8, kalman_jax, kalman_numba, 1e-9),
    # The orbit is chaotic: rounding grows to this in ten seconds.
    LoopProgram(
        "Runge-Kutta, Lorenz", lorenz, _attractor, 10_000, 8, lorenz_jax, lorenz_numba, 1e-8
    ),
    LoopProgram("n bodies", bodies, _orbits, 200, 9, bodies_jax, bodies_numba, 1e-11),
    LoopProgram("LSTM, 128 steps", lstm, _sequence, 64, 6, lstm_jax, lstm_numba, 2e-5),
)
