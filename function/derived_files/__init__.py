"""Derived files: what is made of an object's content and kept in another bucket.

Everything else imports this package alone, never a module in it.

maker           reads the content, stores what is made of it
manifest        what is made: the one place to change for another kind of derived file
media_types     what binary content is
text_content    what text is
text_encoding   which encoding text states
delimited_text  whether text is a table
"""

from .maker import DerivedFiles
from .manifest import make as make_manifest

__all__ = ["DerivedFiles", "make_manifest"]
