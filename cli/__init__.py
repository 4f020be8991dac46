"""`file-index`, the command line: reads, fills, verifies and repairs an index.

Installed as the package `file_index`. Applications can import `reader`. `function` links to the
Lambda function's modules, which the wheel contains as files.
"""
