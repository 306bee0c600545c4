"""Pages for people: is anything wrong now, why did this decision happen, can it be proved.

Imports none of our other packages. It speaks to the HTTP API as the signed-in person, holds no
key and no database address, and computes nothing that the API decides: no drift, no percentiles.
"""
