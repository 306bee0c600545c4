"""Bodies of PredictionLogged become columns of arrays (sketch: the reader follows)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Numeric:
    """The finite values of one column, in order; `missing` and `wrong` count the other rows."""

    values: NDArray[np.float64]
    missing: int = 0
    wrong: int = 0


@dataclass(frozen=True, slots=True)
class Categorical:
    """`codes` index into `categories`; `missing` and `wrong` count the rows without a code."""

    codes: NDArray[np.int32]
    categories: tuple[str, ...]
    missing: int = 0
    wrong: int = 0


@dataclass(frozen=True, slots=True)
class Columns:
    """The rows of one window: no keys, no connections, picklable."""

    rows: int
    columns: dict[str, Numeric | Categorical]
