"""One file per page: what it asks the API, and how it shows the answer."""
