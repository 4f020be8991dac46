"""The watched keys, and the prefixes to list for them."""

from hypothesis import given
from hypothesis import strategies as st

from function.filters import Filter, Filters

texts = st.text("ab/", max_size=4)
several = st.lists(st.builds(Filter, texts, texts), min_size=1, max_size=4).map(
    lambda filters: Filters(tuple(filters))
)


def test_no_filters_watch_everything() -> None:
    assert Filters.of([]).matches("any\nkey")
    assert not Filters.of([{"prefix": "in/", "suffix": ""}]).matches("other")


@given(filters=several, prefix=texts, key=st.text("ab/", max_size=6))
def test_every_watched_key_below_a_prefix_is_listed_once(
    filters: Filters, prefix: str, key: str
) -> None:
    watched = filters.matches(key) and key.startswith(prefix)
    listed = filters.prefixes(prefix)

    assert listed == sorted(listed)
    assert sum(key.startswith(one) for one in listed) == 1 or not watched
    assert sum(key.startswith(one) for one in listed) <= 1
    assert watched == any(
        one.matches(key) for one in filters.within(prefix) if key.startswith(prefix)
    )
