"""The tamper-evident log: formats, keys, storage, proofs and the offline verifier.

Nothing is imported here, so that importing one module never loads another.
"""
