"""`file-index`: reads an index, fills it, proves it right and repairs it.

Installed as the package `file_index`, which holds the function's modules too.
"""
