"""Derived files: made from an object's content and kept in another bucket.

Other packages import only what this one exports, never a module in it.

maker           reads the content and stores the derived file
manifest        makes the derived file: the one module to change for another kind
media_types     recognizes binary content
text_content    recognizes text, and describes it
text_encoding   finds the encoding that a text states
delimited_text  recognizes tables
"""

from .maker import DerivedFiles
from .manifest import make as make_manifest

__all__ = ["DerivedFiles", "make_manifest"]
