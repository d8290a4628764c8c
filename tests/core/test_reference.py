"""Facts about addresses: what is read as one, what is refused and why, and what is never shown."""

import copy
import pickle
import string
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import holdall
from holdall.core.errors import InvalidKey
from holdall.core.reference import (
    MAX_KEY_BYTES,
    MAX_SEGMENT_BYTES,
    Reference,
    are_keys,
    check_key,
    is_key,
)

SECRET = "wJalr-XUtn"
ACCOUNT = "acc.dfs.core.windows.net"


# Forms of an address


@pytest.mark.parametrize(
    ("text", "scheme", "container", "key"),
    [
        ("s3://bucket/key", "s3", "bucket", "key"),
        ("s3://bucket/a/b/c.txt", "s3", "bucket", "a/b/c.txt"),
        ("s3://bucket", "s3", "bucket", ""),
        ("s3://bucket/", "s3", "bucket", ""),
        ("S3://Bucket/Key", "s3", "Bucket", "Key"),
        ("gs://bucket/key", "gs", "bucket", "key"),
        ("az://container/a/b", "az", "container", "a/b"),
        (f"abfs://container@{ACCOUNT}/path/x", "abfs", "container", "path/x"),
        (f"abfss://container@{ACCOUNT}/path/x", "abfss", "container", "path/x"),
        (f"abfss://container@{ACCOUNT}", "abfss", "container", ""),
        ("file:///srv/data/x", "file", "", "srv/data/x"),
        ("file://localhost/srv/x", "file", "", "srv/x"),
        ("file:///", "file", "", ""),
        ("/tmp/key", "file", "", "tmp/key"),
        ("memory://", "memory", "", ""),
        ("memory://name", "memory", "name", ""),
        ("memory://name/a/b", "memory", "name", "a/b"),
        ("redis://host/key", "redis", "host", "key"),
        ("redis://host:6379/a/key", "redis", "host:6379", "a/key"),
        ("redis://[::1]:6379/key", "redis", "[::1]:6379", "key"),
        ("redis://host/0", "redis", "host", "0"),
        ("own+scheme.x-1://place/key", "own+scheme.x-1", "place", "key"),
    ],
)
def test_an_address_has_scheme_container_and_key(
    text: str, scheme: str, container: str, key: str
) -> None:
    assert Reference.parse(text).split() == (scheme, container, key)


def test_the_container_of_abfs_comes_from_before_the_at() -> None:
    ref = Reference.parse(f"abfss://box@{ACCOUNT}/a")
    assert (ref.container, ref.host, ref.userinfo) == ("box", ACCOUNT, None)
    assert str(ref) == f"abfss://box@{ACCOUNT}/a"


@pytest.mark.parametrize(
    "key", ["what?", "a?b=c", "#1", "a#b", "100%", "%2e%2e", "a%2Fb", "a b", "a+b", "ä/日本"]
)
def test_a_key_is_literal(key: str) -> None:
    ref = Reference.parse(f"s3://bucket/{key}")
    assert ref.key == key
    assert str(ref) == f"s3://bucket/{key}"


def test_a_plain_path_is_a_file() -> None:
    ref = Reference.parse("/tmp/key")
    assert ref == Reference.parse("file:///tmp/key")
    assert ref.path == "/tmp/key"


def test_what_is_no_file_has_no_path() -> None:
    assert Reference.parse("s3://tmp/key").path is None


def test_a_reference_is_parsed_already() -> None:
    ref = Reference.parse("s3://bucket/key")
    assert Reference.parse(ref) is ref


def test_a_folder_may_end_with_one_slash() -> None:
    assert Reference.parse("s3://bucket/a/", folder=True) == Reference.parse("s3://bucket/a")


@pytest.mark.parametrize("text", ["s3://bucket/a//", "/a//", "memory://x/a//"])
def test_a_folder_may_not_end_with_two(text: str) -> None:
    with pytest.raises(InvalidKey, match="empty"):
        Reference.parse(text, folder=True)


@pytest.mark.parametrize("text", ["", "key", "a/b", "./a", "../a", "C:\\x", "s3:/bucket/key"])
def test_a_text_without_a_scheme_is_refused_with_the_way_out(text: str) -> None:
    with pytest.raises(InvalidKey, match="no scheme") as caught:
        Reference.parse(text)
    assert "s3://bucket/key" in str(caught.value)


@pytest.mark.parametrize("text", ["://x/y", "1s3://x/y", "s_3://x/y", "é://x/y", " s3://x/y"])
def test_a_broken_scheme_is_refused(text: str) -> None:
    with pytest.raises(InvalidKey, match="is no scheme"):
        Reference.parse(text)


@pytest.mark.parametrize("scheme", ["s3", "gs", "az", "abfs", "redis"])
def test_an_address_names_its_container(scheme: str) -> None:
    with pytest.raises(InvalidKey, match="names no"):
        Reference.parse(f"{scheme}:///key")


def test_a_file_has_no_host() -> None:
    with pytest.raises(InvalidKey, match="file:///srv/"):
        Reference.parse("file://srv/data")


@pytest.mark.parametrize("text", ["abfs://@host/key", "abfs://box@/key"])
def test_abfs_names_container_and_account(text: str) -> None:
    with pytest.raises(InvalidKey, match="container@account"):
        Reference.parse(text)


# Secrets


def _shown(value: object) -> str:
    return (
        f"{value} {value!r} {value!s} {value:s}" if isinstance(value, str) else f"{value}{value!r}"
    )


@pytest.mark.parametrize(
    "text",
    [
        f"s3://AKIA:{SECRET}@bucket/key",
        f"gs://{SECRET}@bucket/key",
        f"az://account:{SECRET}@box/key",
        f"redis://:{SECRET}@host:6379/key",
        f"redis://user:{SECRET}@host/key",
    ],
)
def test_a_secret_is_never_shown(text: str) -> None:
    ref = Reference.parse(text)
    texts = [str(ref), repr(ref), f"{ref}", f"{ref!s}", f"{ref!r}", "{}".format(ref), "%s" % ref]  # noqa: UP031, UP032
    texts += [_shown(part) for part in (ref.parent, ref.root, ref.child("x"), ref.join("y"))]
    texts += [_shown(ref.children(ref.child)("x")), _shown(ref.split()), _shown(ref.userinfo)]
    for shown in texts:
        assert SECRET not in shown
        assert "AKIA" not in shown


def test_a_secret_can_be_revealed_and_is_decoded() -> None:
    ref = Reference.parse("s3://AKIA:a%2Fb%40c@bucket/key")
    assert ref.userinfo is not None
    assert ref.userinfo.reveal() == "AKIA:a/b@c"
    assert ref.container == "bucket"


def test_a_secret_may_hold_an_at() -> None:
    ref = Reference.parse("s3://user:a@b@bucket/key")
    assert ref.split() == ("s3", "bucket", "key")
    assert ref.userinfo is not None
    assert ref.userinfo.reveal() == "user:a@b"


def test_what_lies_under_an_address_keeps_its_secret() -> None:
    ref = Reference.parse(f"s3://u:{SECRET}@bucket/a")
    for other in (ref.child("x"), ref.join("x", "y"), ref.parent, ref.root):
        assert other.userinfo is ref.userinfo


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_holds_no_secret(protocol: int) -> None:
    ref = Reference.parse(f"s3://AKIA:{SECRET}@bucket/key")
    pickled = pickle.dumps(ref, protocol)
    assert SECRET.encode() not in pickled
    back = pickle.loads(pickled)
    assert back == ref
    assert back.userinfo is None


@pytest.mark.parametrize(
    "text",
    [
        f"s3://AKIA:part/{SECRET}@bucket/key",
        f"s3://AKIA:{SECRET}/part@bucket/key",
        f"s3://AKIA:/{SECRET}@bucket/key",
        f"gs://user:{SECRET}/x@bucket/key",
        f"az://user:{SECRET}/x@box/key",
        f"abfs://user:{SECRET}/x@box/key",
        f"abfss://user:{SECRET}@host/key",
        f"redis://:{SECRET}/x@host/key",
        f"redis://user:{SECRET}/x@host:6379/key",
        f"redis://user:{SECRET}//x@host:6379/key",
        f"s3:/user:{SECRET}@bucket/key",
        f"user:{SECRET}@bucket/key",
        f"user:{SECRET}@s3://bucket/key",
    ],
)
def test_an_error_about_a_broken_address_shows_no_secret(text: str) -> None:
    with pytest.raises(InvalidKey) as caught:
        Reference.parse(text)
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in f"{error} {error!r} {vars(error)}"
        error = error.__cause__ or error.__context__


def test_an_error_about_a_slash_in_a_secret_tells_how_to_write_it() -> None:
    with pytest.raises(InvalidKey, match="%2F"):
        Reference.parse("s3://user:se/cret@bucket/key")


def test_an_error_about_a_key_shows_no_secret() -> None:
    ref = Reference.parse(f"s3://AKIA:{SECRET}@bucket/key")
    with pytest.raises(InvalidKey) as caught:
        ref.child("../x")
    with pytest.raises(InvalidKey) as other:
        ref.relative_to(Reference.parse("s3://other"))
    for error in (caught.value, other.value):
        assert SECRET not in f"{error} {error!r} {error.reference} {error.reference!r}"


def test_an_empty_user_name_is_none_or_refused() -> None:
    assert Reference.parse("s3://@bucket/key").userinfo is None


# Keys

LONG = "s" * (MAX_SEGMENT_BYTES + 1)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "it is empty"),
        ("/a", "a segment is empty"),
        ("a/", "a segment is empty"),
        ("a//b", "a segment is empty"),
        ("/", "a segment is empty"),
        (".", "a key cannot climb"),
        ("..", "a key cannot climb"),
        ("a/./b", "a key cannot climb"),
        ("a/../../b", "a key cannot climb"),
        ("../x", "a key cannot climb"),
        (".holdall", "where stores keep their own things"),
        ("a/.holdall/b", "where stores keep their own things"),
        ("a\\b", "a backslash"),
        ("a\0b", r"control character '\\x00'"),
        ("a\nb", r"control character '\\n'"),
        ("a\x7f", r"control character '\\x7f'"),
        ("a\x85", r"control character '\\x85'"),
        ("a\ud800", "lone surrogate"),
        (LONG, f"a segment has {MAX_SEGMENT_BYTES + 1} bytes, and {MAX_SEGMENT_BYTES}"),
        ("a/" + "ß" * 126 + "/b", "a segment has 252 bytes"),
        ("/".join(["x" * 250] * 5), f"it has 1254 bytes, and {MAX_KEY_BYTES}"),
        ("x/" * 2500 + "x", "it has 5001 bytes"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_what_breaks_a_rule_is_refused_with_the_reason(key: str, reason: str) -> None:
    with pytest.raises(InvalidKey, match=reason):
        check_key(key)


@pytest.mark.parametrize("key", ["../x", "a//b", "a\0b", LONG], ids=ascii)
def test_an_address_with_such_a_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidKey, match="cannot be a key"):
        Reference.parse(f"s3://bucket/{key}")


@pytest.mark.parametrize(
    "key",
    [
        "a",
        "...",
        "..a",
        "a..",
        ".hidden",
        ".holdall2",
        "holdall",
        " a",
        "a ",
        "a./b.",
        "s" * MAX_SEGMENT_BYTES,
        "ß" * 125,
        "/".join(["x" * 250] * 4) + "/" + "y" * 20,
        "-",
        "~",
        "C:",
        "é",
        "e\u0301",
    ],
    ids=lambda key: ascii(key)[:30],
)
def test_a_key_that_keeps_the_rules_is_taken_as_it_is(key: str) -> None:
    check_key(key)
    assert Reference.parse(f"s3://bucket/{key}").key == key


def test_an_error_shows_only_the_beginning_of_a_long_key() -> None:
    with pytest.raises(InvalidKey) as caught:
        check_key("k" * 100_000)
    assert len(str(caught.value)) < 300


def test_a_file_may_have_a_path_longer_than_a_key() -> None:
    path = "/" + "/".join(["x" * 250] * 8)
    assert Reference.parse(path).path == path


def test_a_key_under_a_prefix_counts_with_the_prefix() -> None:
    base = Reference.parse("s3://bucket/" + "p" * 23)
    fits = "/".join(["x" * 249] * 3 + ["x" * 250])  # 1,000 bytes; prefix and slash have 24
    assert len(base.child(fits).key.encode()) == MAX_KEY_BYTES
    with pytest.raises(InvalidKey, match=f"and {MAX_KEY_BYTES - 24} are allowed here"):
        base.child("y" + fits)


@pytest.mark.parametrize("key", ["a", "data/1 (2).bin", "x" * 241, "a/" + "x" * 241])
def test_a_plain_key_goes_no_other_way(key: str) -> None:
    assert Reference.parse("s3://bucket").children(pytest.fail)(key).key == key


def test_a_fast_child_counts_the_prefix_too() -> None:
    base = Reference.parse("s3://bucket/" + "p" * 23)
    child = base.children(base.child)
    long = "/".join(["x" * 240] * 4) + "/"
    assert child(long + "y" * 36) == base.child(long + "y" * 36)
    with pytest.raises(InvalidKey, match="are allowed here"):
        child(long + "y" * 37)


def test_a_key_in_a_folder_of_files_counts_alone() -> None:
    base = Reference.parse("/" + "/".join(["x" * 250] * 6))
    assert base.child("/".join(["y" * 250] * 4)).scheme == "file"


# Walking about


def test_join_adds_segments() -> None:
    base = Reference.parse("s3://bucket/a")
    assert str(base.join("b", "c/d")) == "s3://bucket/a/b/c/d"
    assert base.join() == base


@pytest.mark.parametrize(
    "segment", ["..", "../x", "a/../..", "/etc/passwd", "/", "", ".", "//x", "s3://other/key"]
)
def test_join_neither_climbs_nor_starts_again(segment: str) -> None:
    base = Reference.parse("s3://bucket/a")
    for segments in ((segment,), ("x", segment), (segment, "x")):
        with pytest.raises(InvalidKey):
            base.join(*segments)


def test_what_is_kept_beside_the_objects_has_an_address() -> None:
    base = Reference.parse("s3://bucket/a")
    assert str(base.reserved("journals", "b")) == "s3://bucket/a/.holdall/journals/b"
    assert base.holds(base.reserved())


@pytest.mark.parametrize("segment", ["..", "", "/x", "a//b", ".holdall", "x" * 251])
def test_what_is_kept_beside_the_objects_stays_there(segment: str) -> None:
    with pytest.raises(InvalidKey):
        Reference.parse("s3://bucket/a").reserved("journals", segment)


def test_what_is_kept_beside_the_objects_has_a_key_of_1024_bytes_at_most() -> None:
    base = Reference.parse("s3://bucket/" + "/".join(["x" * 249] * 4))
    with pytest.raises(InvalidKey, match="38 bytes, and 24 are allowed here"):
        base.reserved("journals", "y" * 20)


def test_a_store_constructs_the_reference_of_segments() -> None:
    store = holdall.open("memory://")
    ref = store.construct_reference("s3://my-flyte-bucket", "metadata", "project", "domain", "id")
    assert str(ref) == "s3://my-flyte-bucket/metadata/project/domain/id"


def test_name_parent_and_root() -> None:
    ref = Reference.parse(f"abfs://box@{ACCOUNT}/a/b/c")
    assert ref.name == "c"
    assert str(ref.parent) == f"abfs://box@{ACCOUNT}/a/b"
    assert str(ref.root) == f"abfs://box@{ACCOUNT}"
    assert ref.root.parent == ref.root
    assert ref.root.name == ""


def test_a_key_is_relative_to_what_lies_above() -> None:
    ref = Reference.parse("s3://bucket/a/b/c")
    assert ref.relative_to(Reference.parse("s3://bucket")) == "a/b/c"
    assert ref.relative_to(Reference.parse("s3://bucket/a")) == "b/c"
    assert ref.relative_to(ref) == ""


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("s3://bucket/foo-bar", "s3://bucket/foo"),
        ("s3://bucket/foo", "s3://bucket/foo/a"),
        ("s3://bucket", "s3://bucket/foo"),
        ("s3://bucket/a", "s3://other"),
        ("gs://bucket/a", "s3://bucket"),
        ("abfs://box@one.net/a", "abfs://box@two.net"),
    ],
)
def test_nothing_is_relative_to_what_it_does_not_lie_under(text: str, base: str) -> None:
    with pytest.raises(InvalidKey, match="does not lie under"):
        Reference.parse(text).relative_to(Reference.parse(base))


# Equality and order


def test_references_to_one_place_are_equal() -> None:
    one = Reference.parse("s3://a:b@bucket/key")
    other = Reference.parse("s3://bucket/key")
    assert one == other
    assert not one != other  # noqa: SIM202 (asked by itself: it need not follow from ==)
    assert hash(one) == hash(other)
    assert len({one, other}) == 1


@pytest.mark.parametrize(
    "text",
    ["s3://bucket/key2", "s3://bucket2/key", "gs://bucket/key", "s3://bucket", "s3://bucket/Key"],
)
def test_references_to_other_places_differ(text: str) -> None:
    assert Reference.parse("s3://bucket/key") != Reference.parse(text)


def test_accounts_make_two_references() -> None:
    assert Reference.parse("abfs://box@one.net/a") != Reference.parse("abfs://box@two.net/a")


def test_a_reference_is_no_text() -> None:
    assert Reference.parse("s3://bucket/key") != "s3://bucket/key"


def test_references_are_ordered_by_scheme_container_and_key() -> None:
    texts = ["gs://b/a", "s3://a/z", "s3://b/a", "s3://b/a-b", "s3://b/a/b"]
    refs = [Reference.parse(text) for text in texts]
    assert [str(ref) for ref in sorted([refs[3], refs[0], refs[4], refs[2], refs[1]])] == texts


def test_a_reference_cannot_be_changed() -> None:
    ref: Any = Reference.parse("s3://bucket/key")
    with pytest.raises(AttributeError):
        ref.key = "other"


def test_a_copy_is_equal() -> None:
    ref = Reference.parse(f"abfs://box@{ACCOUNT}/a/b")
    assert copy.copy(ref) == copy.deepcopy(ref) == pickle.loads(pickle.dumps(ref)) == ref


# For all

_characters = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\")
_segments = st.text(_characters, min_size=1, max_size=60).filter(
    lambda text: text not in {".", "..", ".holdall"}
)
_keys = st.lists(_segments, min_size=1, max_size=4).map("/".join)
_names = st.text(string.ascii_letters + string.digits + ".-_", min_size=1, max_size=20)


@given(
    key=st.one_of(st.just(""), _keys),
    container=_names,
    host=_names,
    form=st.sampled_from(
        [
            "s3://{container}/{key}",
            "gs://{container}/{key}",
            "az://{container}/{key}",
            "abfs://{container}@{host}/{key}",
            "abfss://{container}@{host}/{key}",
            "file:///{key}",
            "memory://{container}/{key}",
            "memory:///{key}",
            "redis://{container}/{key}",
            "redis://{container}:6379/{key}",
            "own://{container}/{key}",
        ]
    ),
)
def test_what_is_printed_reads_as_the_same(key: str, container: str, host: str, form: str) -> None:
    ref = Reference.parse(form.format(container=container, host=host, key=key))
    assert ref.key == key
    assert Reference.parse(str(ref)) == ref
    assert str(Reference.parse(str(ref))) == str(ref)


@given(text=st.text(max_size=40), scheme=st.sampled_from(["", "s3://", "file://", "abfs://x@"]))
@example(text="@", scheme="s3://")
@example(text=":@b/k", scheme="s3://")
@example(text="a:b@c@d/e", scheme="")
def test_any_text_is_an_address_or_refused(text: str, scheme: str) -> None:
    try:
        ref = Reference.parse(scheme + text)
    except InvalidKey:
        return
    assert Reference.parse(str(ref)) == ref


@given(key=st.text(max_size=300) | st.text("aZ0._=/ ~\u00e9\\\n-:", max_size=8))
@example(key="x" * 241)
@example(key="x" * 242)
@example(key="a/" + "x" * 241)
@example(key="a/" + "x" * 251)
def test_the_fast_child_is_the_child(key: str) -> None:
    base = Reference.parse("s3://bucket/prefix")
    try:
        expected = base.child(key)
    except InvalidKey:
        with pytest.raises(InvalidKey):
            base.children(base.child)(key)
    else:
        assert base.children(base.child)(key) == expected


@given(st.lists(_keys | st.text(max_size=6) | st.just("x" * 1000), max_size=4))
@example(["", "a"])
@example(["a/", "b"])
@example(["/a"])
@example(["a", "s3://bucket/b"])
def test_many_children_are_each_the_child(keys: list[str]) -> None:
    for base in (Reference.parse("s3://bucket"), Reference.parse("s3://bucket/" + "p" * 23)):
        found = base.many_children(keys)
        assert found is None or found == [base.child(key) for key in keys]


def test_many_children_that_are_plain_keys_are_found() -> None:
    base = Reference.parse("s3://bucket/prefix")
    assert base.many_children(["a", "2024/report 1.pdf"]) == [
        base.child("a"),
        base.child("2024/report 1.pdf"),
    ]


@given(base=_keys, key=_keys)
def test_a_child_is_relative_to_its_parent(base: str, key: str) -> None:
    parent = Reference.parse("s3://bucket").child(base)
    assert parent.child(key).relative_to(parent) == key


@given(segments=st.lists(_segments, min_size=1, max_size=4))
def test_joined_segments_are_a_child(segments: list[str]) -> None:
    base = Reference.parse("s3://bucket/a")
    assert base.join(*segments) == base.child("/".join(segments))


# Many keys at once

_PIECES = ["a", "b.c", "", "/", ".", "..", ".holdall", "a//b", "\\", "\n", "é", "x" * 251, "a/b"]


@given(st.lists(st.lists(st.sampled_from(_PIECES), max_size=6).map("".join), max_size=4))
@example(["a", ""])
@example(["", "a"])
@example(["a/", "b"])
@example(["/".join("x" * 200 for _ in range(6))])
def test_many_are_keys_only_where_each_is(texts: list[str]) -> None:
    assert not are_keys(texts) or all(map(is_key, texts))


def test_plain_keys_are_known_at_once() -> None:
    assert are_keys(["a", "2024/report 1.pdf", "x" * 241])
