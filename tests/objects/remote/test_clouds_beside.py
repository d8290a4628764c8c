"""What is kept beside the objects of a cloud store, among the store's own."""

from collections.abc import Callable

import pytest

import holdall
from holdall.core.errors import InvalidKey
from holdall.core.runtime.blocking import drive
from holdall.objects.backends.cloud.store import OWN_NAMES
from holdall.objects.options import DELETE, WRITE

Open = Callable[..., holdall.DataStore]


@pytest.mark.parametrize("name", OWN_NAMES)
def test_the_names_of_a_store_are_not_for_others(open_cloud: Open, name: str) -> None:
    with open_cloud(prefix="p") as store:
        ref = store.root.reserved(name, "x")
        with pytest.raises(InvalidKey, match="the store itself"):
            drive(store.store.put(ref, b"data", WRITE))
        failures = drive(store.store.delete([ref], DELETE))
        assert [type(failure.error) for failure in failures] == [InvalidKey]


def test_what_a_store_in_a_folder_keeps_beside_is_not_listed_from_above(open_cloud: Open) -> None:
    with open_cloud(prefix="p") as above, open_cloud(prefix="p/q") as below:
        below.write("a", b"data")
        drive(below.store.put(below.root.reserved("journals", "1"), b"data", WRITE))
        upload = below.upload("b")
        upload.write(b"x" * 9_000_000)
        page = above.list_page()
        assert ([meta.key for meta in page.objects], page.foreign) == (["q/a"], 0)
        upload.abort()
