"""Parts of a page that a tool writes, between <!-- NAME --> and <!-- /NAME -->."""


def replaced(page: str, name: str, part: str) -> str:
    """Return the page with another part between its markers. Raises ValueError without markers."""
    begin, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
    before, found_begin, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        raise ValueError(f"the page has no markers {begin.strip()} and {end.strip()}")
    return f"{before}{begin}{part}{end}{after}"
