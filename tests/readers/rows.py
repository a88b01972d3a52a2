"""What a server makes of the values that a reader found: rows."""
import numpy as np

NAMES = [f"x{i}" for i in range(9)]
LENGTH = "inference-header-content-length"


def fail(message):
    raise ValueError(message)


def flat(value, out):
    """The numbers of nested lists, in order. `float` is lenient: it takes "81" and true."""
    if isinstance(value, list):
        for one in value:
            flat(one, out)
    else:
        out.append(float(value))
    return out


def row(value):
    """One instance: members by name, or numbers by position."""
    return [float(value[name]) for name in NAMES] if isinstance(value, dict) else flat(value, [])


def rows(value):
    """Rows of a list, one per element; a list of bare numbers is one row."""
    if isinstance(value, dict):
        return [row(value)]
    if value and not any(isinstance(one, (list, dict)) for one in value):
        return [row(value)]
    return [row(one) for one in value]


def columns(value):
    """Rows of an object of columns."""
    if isinstance(value, list):
        return rows(value)
    found = [flat(value[name], []) for name in NAMES]
    return [list(one) for one in zip(*found, strict=True)]


def shaped(numbers, shape):
    """A tensor's rows. A vector is one row."""
    if not all(type(length) is int for length in shape):
        fail("a shape of something else")
    array = np.array(numbers, dtype=np.float64).reshape(shape)
    return array.reshape(1, -1) if array.ndim < 2 else array.reshape(array.shape[0], -1)


def merged(tensors):
    """Rows of one tensor per feature."""
    parts = [np.asarray(one, dtype=np.float64) for one in tensors]
    parts = [part.reshape(part.shape[0] if part.ndim else 1, -1) for part in parts]
    return np.concatenate(parts, axis=1)


def tensor_views(tensors):
    """Of `(name, rows)`: the only one or the first of several, all in their order, and those with the features' names."""
    tensors = list(tensors)
    views = {"first" if len(tensors) == 1 else "head": lambda: tensors[0][1]}
    if len(tensors) > 1:
        column = lambda rows: np.asarray(rows, dtype=np.float64).reshape(-1, 1)
        views["order"] = lambda: merged([column(one) for _, one in tensors])
        named = {name: one for name, one in tensors}
        views["names"] = lambda: merged([column(named[name]) for name in NAMES])
    return views
