"""The demonstration: a year of real flights, watched as any model would be.

A client like any other: it speaks HTTP and imports nothing of `audit`, `drift` or `dashboard`.
`story.run` is the way in.
"""
