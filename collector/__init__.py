"""The way in: untrusted bytes become events, each item's fate is answered.

Nothing is imported here, so that importing one module never loads another.
"""
