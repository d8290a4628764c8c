"""The suite over the clouds' protocols, each on a server of its own."""

from collections.abc import Callable
from itertools import count
from typing import Any, ClassVar

import pytest

from holdall.core.runtime import Runtime
from holdall.objects.contract import ObjectStore
from holdall.objects.registry import open_store
from holdall.testing import ObjectStoreSuite
from serving.clouds import AzureServer, GoogleServer, S3Server

_number = count()
_RACES = "this server answers 500 to who meets a writer of the same object"
_PAGES = "this server counts no folders when it fills a page"
_FILES = "this server keeps objects as files, which S3 does not"
_DELETES = "this server does not hold the condition of a delete against other deletes"
Make = Callable[[Runtime], ObjectStore]


def _maker(**settings: Any) -> Make:
    """Each test has a prefix of its own in one bucket."""
    whole = {"check": False, "prefix": f"t{next(_number)}", **settings}
    return lambda runtime: open_store(whole, runtime)


@pytest.fixture(scope="module")
def s3_bucket(s3_server: S3Server) -> str:
    return s3_server.make_container("suite")


@pytest.fixture(scope="module")
def versity_bucket(versity_server: S3Server) -> str:
    return versity_server.make_container("suite")


@pytest.fixture(scope="module")
def azure_container(azure_server: AzureServer) -> str:
    return azure_server.make_container("suite")


@pytest.fixture(scope="module")
def google_bucket(google_server: GoogleServer) -> str:
    return google_server.make_container("suite")


class TestS3(ObjectStoreSuite):
    # The other face goes over the server that checks signatures.
    in_soak = "async"

    excused: ClassVar = {
        "test_a_reader_never_sees_a_torn_object": _RACES,
        "test_what_is_kept_is_never_of_another_write": _RACES,
    }

    @pytest.fixture
    def make_store(
        self, s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
    ) -> Make:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key_id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_access_key)
        return _maker(type="s3", bucket=s3_bucket, endpoint=s3_server.endpoint)


class TestS3WithSignatures(ObjectStoreSuite):
    in_soak = "blocking"

    excused: ClassVar = {
        "test_an_object_and_a_folder_of_one_name": _FILES,
        "test_a_move_to_above_or_below_itself_keeps_the_object": _FILES,
        "test_keys_come_in_the_order_of_their_bytes": _FILES,
        "test_an_awkward_key_is_kept_as_it_is['xxx": _FILES,
        r"test_an_awkward_key_is_kept_as_it_is['\\\\xe9\\\\xe9": _FILES,
        "test_a_write_survives_the_removal_of_its_folder": _FILES,
        "test_what_is_kept_is_never_of_another_write": (
            "this server answers with the metadata of one write and the size of another"
        ),
        "test_two_moves_of_one_object_move_it_once": _DELETES,
        "test_one_of_many_deleters_of_what_must_exist_succeeds": _DELETES,
    }

    @pytest.fixture
    def make_store(
        self, versity_server: S3Server, versity_bucket: str, monkeypatch: pytest.MonkeyPatch
    ) -> Make:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", versity_server.access_key_id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", versity_server.secret_access_key)
        return _maker(type="s3", bucket=versity_bucket, endpoint=versity_server.endpoint)


class TestAzure(ObjectStoreSuite):
    in_soak = "async"

    @pytest.fixture
    def make_store(
        self, azure_server: AzureServer, azure_container: str, monkeypatch: pytest.MonkeyPatch
    ) -> Make:
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_server.connection_string)
        return _maker(type="az", container=azure_container)


class TestGoogle(ObjectStoreSuite):
    in_soak = "blocking"

    excused: ClassVar = {
        "test_pages_of_any_length_make_up_one_level": _PAGES,
        "test_pages_of_one_level_go_past_what_is_kept_beside": _PAGES,
        "test_pages_of_a_level_begin_behind_a_key": _PAGES,
        "test_a_folder_that_goes_between_pages_loses_no_other_folder": _PAGES,
    }

    @pytest.fixture
    def make_store(
        self, google_server: GoogleServer, google_bucket: str, monkeypatch: pytest.MonkeyPatch
    ) -> Make:
        monkeypatch.setenv("GOOGLE_OAUTH_ACCESS_TOKEN", google_server.bearer_token)
        return _maker(type="gs", bucket=google_bucket, endpoint=google_server.endpoint)
