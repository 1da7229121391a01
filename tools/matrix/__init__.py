"""Parts of ``compat_matrix.py``: rows from the code, proofs from the tests, counts of files."""
