"""Files that systems leave in folders and object stores: read by row, resumed where it ended."""
