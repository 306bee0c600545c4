"""Names of models and versions as a leaf may carry them.

Decides that a name is written with - for each run of characters that a leaf does not take (spaces
and brackets, in names that people chose), so that a prediction is never lost for its model's
name. The sender's own name stands in the event's `origin`.
"""

import re

_OTHER = re.compile(r"[^A-Za-z0-9._:/@-]+")
_MOST = 128


def leaf_name(text: str) -> str:
    """A name that a leaf may carry; "-" where nothing of it is left."""
    return _OTHER.sub("-", text.strip())[:_MOST] or "-"
