"""Facts about configuration: files, variables, names, types and what errors say."""

import enum
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdall.core.config import dec_hook, load_settings, read_settings, take_text
from holdall.core.errors import InvalidConfig
from holdall.core.secrets import Secret


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Server(msgspec.Struct, frozen=True):
    url: str
    retries: int = 3


class InBucket(msgspec.Struct, frozen=True, tag="s3", tag_field="type"):
    bucket: str


class InFolder(msgspec.Struct, frozen=True, tag="file", tag_field="type"):
    path: Path


class Settings(msgspec.Struct, frozen=True):
    name: str = "store"
    max_download_mbs: Annotated[int, msgspec.Meta(ge=0)] = 2
    ratio: float = 0.5
    verbose: bool = False
    timeout: timedelta = timedelta(seconds=30)
    pause: timedelta | None = None
    level: Level = Level.LOW
    mode: Literal["read", "write"] = "read"
    folder: Path | None = None
    server: Server | None = None
    mirrors: list[Server] = []
    stores: dict[str, InBucket | InFolder] = {}
    labels: dict[str, str] = {}
    password: Secret | None = None
    token_count: int = 0
    anything: Any = None


class Required(msgspec.Struct, frozen=True):
    bucket: str


def load(settings: dict[str, Any], **env: str) -> Settings:
    return load_settings(Settings, settings, env=env)


def refusal(settings: dict[str, Any], **env: str) -> str:
    with pytest.raises(InvalidConfig) as caught:
        load(settings, **env)
    return str(caught.value)


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refusal_of_file(path: Path, kind: type[msgspec.Struct] = Settings) -> str:
    with pytest.raises(InvalidConfig) as caught:
        load_settings(kind, path, env={})
    return str(caught.value)


class TestFiles:
    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("a.toml", 'name = "x"\n[server]\nurl = "${URL}"\n'),
            ("a.yaml", "name: x\nserver:\n  url: ${URL}\n"),
            ("a.yml", "name: x\nserver: {url: '${URL}'}\n"),
            ("a.JSON", '\ufeff{"name": "x", "server": {"url": "${URL}"}}'),
        ],
    )
    def test_each_format_gives_the_same_settings(
        self, tmp_path: Path, name: str, text: str
    ) -> None:
        path = written(tmp_path, name, text)
        expected = Settings(name="x", server=Server("http://u"))
        assert load_settings(Settings, path, env={"URL": "http://u"}) == expected
        assert load_settings(Settings, str(path), env={"URL": "http://u"}) == expected

    @pytest.mark.parametrize("name", ["a.toml", "a.yaml"])
    def test_an_empty_file_gives_the_defaults(self, tmp_path: Path, name: str) -> None:
        assert load_settings(Settings, written(tmp_path, name, "")) == Settings()

    @pytest.mark.parametrize(
        ("name", "text", "place"),
        [
            ("a.toml", "name = 'x'\nlevel = = 1\n", "line 2, column 9"),
            ("a.toml", "name = 'x'\nmirrors = [", "line 2, column 12"),
            ("a.json", '{"name": "x",\n "level": }', "line 2, column 11"),
            ("a.yaml", "name: x\nserver: [1,\n", "line 3, column 1"),
            ("a.yaml", "name: x\nlevel: *other\n", "line 2, column 8"),
            ("a.yaml", "name: 'x\x00'\n", "line 1, column 9"),
        ],
    )
    def test_a_broken_file_is_named_with_line_and_column(
        self, tmp_path: Path, name: str, text: str, place: str
    ) -> None:
        path = written(tmp_path, name, text)
        message = refusal_of_file(path)
        assert str(path) in message
        assert place in message

    def test_bytes_that_are_not_utf8_are_refused_with_their_place(self, tmp_path: Path) -> None:
        path = tmp_path / "a.toml"
        path.write_bytes(b"name = 'x'\nlevel = '\xff'\n")
        assert "not UTF-8: line 2, column 10" in refusal_of_file(path)

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("a.yaml", "password: *hunter2\n"),
            ("a.yaml", "password: !hunter2 x\n"),
            ("a.yaml", "password: 'hunter2\n"),
            ("a.json", '{"password": "hunter2}'),
            ("a.toml", "password = hunter2\n"),
        ],
    )
    def test_what_stands_in_a_broken_file_is_not_repeated(
        self, tmp_path: Path, name: str, text: str
    ) -> None:
        path = written(tmp_path, name, text)
        with pytest.raises(InvalidConfig) as caught:
            load_settings(Settings, path)
        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is None

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        message = refusal_of_file(tmp_path / "none.toml")
        assert str(tmp_path / "none.toml") in message
        assert "No such file" in message

    def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.toml").mkdir()
        assert "cannot be read" in refusal_of_file(tmp_path / "a.toml")

    def test_another_format_is_refused(self, tmp_path: Path) -> None:
        message = refusal_of_file(written(tmp_path, "a.ini", ""))
        assert "write .toml, .yaml, .yml or .json" in message

    @pytest.mark.parametrize(("name", "text"), [("a.json", "[1]"), ("a.yaml", "- 1")])
    def test_a_list_is_no_configuration(self, tmp_path: Path, name: str, text: str) -> None:
        assert "settings by name, not list" in refusal_of_file(written(tmp_path, name, text))

    @pytest.mark.parametrize(
        ("name", "text"),
        [("a.json", '{"name": "x", "name": "y"}'), ("a.yaml", "name: x\nname: y\n")],
    )
    def test_one_name_twice_in_a_file_is_refused(
        self, tmp_path: Path, name: str, text: str
    ) -> None:
        message = refusal_of_file(written(tmp_path, name, text))
        assert message.startswith("name in ")
        assert "given twice" in message

    def test_yaml_may_merge_and_override(self, tmp_path: Path) -> None:
        text = "server: &s {url: a}\nmirrors:\n  - {<<: *s, retries: 5}\n  - {<<: *s, url: b}\n"
        settings = load_settings(Settings, written(tmp_path, "a.yaml", text))
        assert settings.mirrors == [Server("a", 5), Server("b")]

    def test_a_date_that_no_calendar_has_is_refused(self, tmp_path: Path) -> None:
        message = refusal_of_file(written(tmp_path, "a.yaml", "anything: 2024-13-45\n"))
        assert "a value that cannot be" in message

    def test_yaml_without_its_driver_says_what_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "yaml", None)
        message = refusal_of_file(written(tmp_path, "a.yaml", "name: x"))
        assert "pip install 'holdall[yaml]'" in message

    def test_importing_the_module_loads_no_parser(self) -> None:
        code = (
            "import sys, holdall.core.config; "
            "print([m for m in ('yaml', 'tomllib', 'difflib', 'json') if m in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        assert done.stdout.strip() == b"[]"


class TestBeforeTheStructIsKnown:
    def test_settings_are_read_as_they_stand(self, tmp_path: Path) -> None:
        path = written(tmp_path, "a.toml", "type = '${KIND}'\n")
        assert read_settings(path) == {"type": "${KIND}"}
        assert read_settings({"a": "${B}"}) == {"a": "${B}"}

    def test_the_place_is_what_errors_name(self) -> None:
        with pytest.raises(InvalidConfig, match=r"nome in /etc/a\.toml is no setting"):
            load_settings(Settings, {"nome": "x"}, place="/etc/a.toml")

    def test_one_text_is_taken_out_and_substituted(self) -> None:
        settings = {"Type": "${KIND}", "path": "x"}
        assert take_text(settings, "type", env={"KIND": "file"}) == "file"
        assert settings == {"path": "x"}

    @pytest.mark.parametrize("settings", [{}, {"type": "${KIND}"}, {"type": ""}, {"type": None}])
    def test_nothing_is_taken_where_nothing_is(self, settings: dict[str, Any]) -> None:
        assert take_text(settings, "type", env={"KIND": ""}) is None

    def test_what_is_taken_must_be_text_and_stand_once(self) -> None:
        with pytest.raises(InvalidConfig, match=r"type in a\.toml must be text, and is 5"):
            take_text({"type": 5}, "type", place="a.toml")
        with pytest.raises(InvalidConfig, match="given twice"):
            take_text({"type": "a", "Type": "a"}, "type")

    def test_too_deep_a_file_is_refused(self, tmp_path: Path) -> None:
        path = written(tmp_path, "a.json", "[" * 100_000)
        assert "nested too deeply" in refusal_of_file(path)

    def test_the_hook_serves_msgspec_alone(self) -> None:
        secret = msgspec.convert("hunter2", Secret, dec_hook=dec_hook)
        assert secret.reveal() == "hunter2"
        with pytest.raises(NotImplementedError, match="complex"):
            dec_hook(complex, "1")


class TestVariables:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("${A}", "1"),
            ("x-${A}-${B}-y", "x-1-2-y"),
            ("${NONE:default}", "default"),
            ("${A:default}", "1"),
            ("${NONE:http://h:80/p}", "http://h:80/p"),
            ("a${NONE:}b", "ab"),
            ("$${A}", "${A}"),
            ("$${${A}", "${1"),
            ("$A and $$ and }", "$A and $$ and }"),
        ],
    )
    def test_are_put_into_texts(self, text: str, expected: str) -> None:
        assert load({"name": text}, A="1", B="2").name == expected

    def test_are_put_in_at_any_depth(self) -> None:
        given = {
            "mirrors": [{"url": "${A}"}],
            "labels": {"x": "${A}"},
            "anything": {"deep": [("${A}",), 5]},
        }
        settings = load(given, A="1")
        assert settings.mirrors == [Server("1")]
        assert settings.labels == {"x": "1"}
        assert settings.anything == {"deep": [["1"], 5]}

    def test_come_from_the_environment_unless_given(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOLDALL_TEST_NAME", "x")
        assert load_settings(Settings, {"name": "${HOLDALL_TEST_NAME}"}).name == "x"

    def test_the_value_of_one_is_not_substituted_again(self) -> None:
        assert load({"name": "${A}"}, A="${B}").name == "${B}"

    def test_the_settings_given_stay_as_they_are(self) -> None:
        given = {"Server": {"url": "${A}"}}
        load(given, A="1")
        assert given == {"Server": {"url": "${A}"}}

    def test_an_unset_one_is_named_with_setting_and_file(self, tmp_path: Path) -> None:
        path = written(tmp_path, "a.toml", "[server]\nurl = '${BASE_URL}'\n")
        message = refusal_of_file(path)
        assert "BASE_URL" in message
        assert "server.url" in message
        assert str(path) in message

    @pytest.mark.parametrize("text", ["${A", "${}", "${1A}", "${A B}", "${A:${B}}", "${A:-x${"])
    def test_a_malformed_one_is_refused(self, text: str) -> None:
        assert refusal({"name": text}, A="1", B="2").startswith("name in the settings given has")

    def test_an_empty_one_leaves_the_default(self) -> None:
        settings = load({"max_download_mbs": "${A}", "name": "${A}${B:}", "level": "${C:}"}, A="")
        assert settings == Settings()

    def test_a_text_that_is_empty_by_itself_stays(self) -> None:
        assert load({"name": ""}).name == ""

    def test_an_empty_one_is_left_out_of_lists_and_mappings(self) -> None:
        settings = load({"labels": {"a": "${A}", "b": "1"}, "anything": ["${A}", "1"]}, A="")
        assert settings.labels == {"b": "1"}
        assert settings.anything == ["1"]

    def test_an_empty_one_is_blamed_when_the_setting_is_required(self) -> None:
        message = refusal({"Server": {"URL": "${BASE}"}}, BASE="")
        assert "Server.url" in message or "server.url" in message
        assert "missing" in message
        assert "BASE is empty" in message

    def test_several_empty_ones_are_all_blamed(self) -> None:
        assert "variables A, B are empty" in refusal({"server": {"url": "${A}${B}"}}, A="", B="")

    @given(st.text())
    def test_any_escaped_text_comes_back(self, text: str) -> None:
        assert load({"name": "x" + text.replace("${", "$${")}).name == "x" + text


class TestNames:
    @pytest.mark.parametrize(
        "name", ["max_download_mbs", "maxDownloadMBs", "max-download-mbs", "MAX_DOWNLOAD_MBS"]
    )
    def test_match_ignoring_case_and_dashes(self, name: str) -> None:
        assert load({name: 7}).max_download_mbs == 7

    def test_match_in_nested_structs(self) -> None:
        settings = load({"Server": {"URL": "u", "Re-Tries": "4"}, "Mirrors": [{"Url": "m"}]})
        assert settings.server == Server("u", 4)
        assert settings.mirrors == [Server("m")]

    def test_names_in_a_mapping_are_the_users_own(self) -> None:
        assert load({"labels": {"A-b": "1", "a_B": "2"}}).labels == {"A-b": "1", "a_B": "2"}

    def test_two_spellings_of_one_setting_are_refused(self) -> None:
        message = refusal({"server": {"url": "a", "re_tries": 1, "reTries": 2}})
        assert "server.reTries" in message
        assert "re_tries" in message

    def test_an_unknown_one_is_refused_with_the_nearest(self, tmp_path: Path) -> None:
        path = written(tmp_path, "a.toml", "[[mirrors]]\nurl = 'u'\nretires = 1\n")
        message = refusal_of_file(path)
        assert "mirrors.0.retires" in message
        assert str(path) in message
        assert "did you mean retries?" in message

    def test_an_unknown_one_far_from_all_lists_the_known(self) -> None:
        assert "url, retries" in refusal({"server": {"url": "u", "xxxxxx": 1}})

    def test_a_struct_without_settings_says_so(self) -> None:
        class Nothing(msgspec.Struct):
            pass

        with pytest.raises(InvalidConfig, match="nothing can be set here"):
            load_settings(Nothing, {"a": 1})

    def test_a_missing_one_is_named(self, tmp_path: Path) -> None:
        message = refusal_of_file(written(tmp_path, "a.toml", ""), Required)
        assert message.startswith("bucket in ")
        assert "missing" in message


class TestTypes:
    @pytest.mark.parametrize("word", ["true", "True", "YES", "on", "1", " true "])
    def test_words_for_true(self, word: str) -> None:
        assert load({"verbose": word}).verbose is True

    @pytest.mark.parametrize("word", ["false", "FALSE", "no", "Off", "0"])
    def test_words_for_false(self, word: str) -> None:
        assert load({"verbose": "${V}"}, V=word).verbose is False

    @pytest.mark.parametrize(
        ("given", "seconds"),
        [
            (30, 30),
            (1.5, 1.5),
            ("30", 30),
            ("30s", 30),
            ("100ms", 0.1),
            ("1.5 s", 1.5),
            ("5m", 300),
            ("1h", 3600),
            ("2d", 172800),
            ("PT3S", 3),
            (timedelta(seconds=4), 4),
        ],
    )
    def test_time_spans(self, given: object, seconds: float) -> None:
        settings = load({"timeout": given, "pause": given})
        assert settings.timeout == timedelta(seconds=seconds)
        assert settings.pause == timedelta(seconds=seconds)

    @pytest.mark.parametrize("given", ["5 weeks", "-", "1.2.3s", True, None, [1]])
    def test_what_is_no_time_span_is_refused(self, given: object) -> None:
        assert "a time span such as 30s, 100ms, 5m or 1h" in refusal({"timeout": given})

    @pytest.mark.parametrize("given", [1e99, float("nan"), "9" * 400 + "s"])
    def test_a_time_span_out_of_all_bounds_is_refused(self, given: object) -> None:
        assert "no time span is that long" in refusal({"timeout": given})

    def test_texts_become_numbers_enumerations_and_paths(self) -> None:
        settings = load(
            {
                "max_download_mbs": "${N}",
                "ratio": "0.25",
                "level": "high",
                "mode": "write",
                "folder": "/srv",
            },
            N="12",
        )
        assert settings.max_download_mbs == 12
        assert settings.ratio == 0.25
        assert settings.level is Level.HIGH
        assert settings.mode == "write"
        assert settings.folder == Path("/srv")

    def test_an_instance_passes_as_it_is(self) -> None:
        server = Server("u")
        settings = load({"server": server, "folder": Path("x")})
        assert settings.server is server
        assert settings.folder == Path("x")

    def test_a_tag_chooses_the_struct(self) -> None:
        given = {
            "a": {"Type": "s3", "Bucket": "b"},
            "c": {"type": "${KIND}", "path": "p"},
        }
        settings = load({"stores": given}, KIND="file")
        assert settings.stores == {"a": InBucket("b"), "c": InFolder(Path("p"))}

    @pytest.mark.parametrize("given", [{"bucket": "b"}, {"type": "ftp"}, {"type": ["s3"]}])
    def test_an_unknown_tag_is_refused(self, given: dict[str, object]) -> None:
        assert "stores.a.type" in refusal({"stores": {"a": given}})
        assert "one of s3, file" in refusal({"stores": {"a": given}})

    def test_a_tag_of_another_struct_is_refused(self) -> None:
        with pytest.raises(InvalidConfig, match="type in the settings given must be s3"):
            load_settings(InBucket, {"type": "file", "bucket": "b"})

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({"max_download_mbs": "many"}, "must be a whole number, and is 'many'"),
            ({"max_download_mbs": -1}, "must be int >= 0, and is -1"),
            ({"max_download_mbs": 1.5}, "must be a whole number, and is 1.5"),
            ({"ratio": "half"}, "must be a number, and is 'half'"),
            ({"verbose": "maybe"}, "must be true or false, and is 'maybe'"),
            ({"name": 5}, "must be text, and is 5; put it in quotes"),
            ({"name": False}, "put it in quotes"),
            ({"name": None}, "must be text, and is null"),
            ({"level": "middle"}, "must be one of low, high, and is 'middle'"),
            ({"mode": "both"}, "must be one of read, write, and is 'both'"),
            ({"folder": 3}, "must be the path of a file or folder, and is 3"),
            ({"server": "u"}, "must be a group of settings, and is 'u'"),
            ({"mirrors": "u"}, "must be a list, and is 'u'"),
            ({"name": "x", "ratio": "9" * 80 + "x"}, "99..."),
        ],
    )
    def test_the_wrong_type_is_said_in_plain_words(
        self, given: dict[str, Any], expected: str
    ) -> None:
        assert expected in refusal(given)

    def test_what_a_struct_checks_itself_is_told_with_the_place(self) -> None:
        class Range(msgspec.Struct):
            low: int
            high: int

            def __post_init__(self) -> None:
                if self.low > self.high:
                    raise ValueError("low is above high")

        class Outer(msgspec.Struct):
            span: Range

        with pytest.raises(InvalidConfig, match="span in the settings given: low is above high"):
            load_settings(Outer, {"span": {"low": 2, "high": 1}})

    def test_settings_that_hold_themselves_are_refused(self) -> None:
        given: dict[str, Any] = {}
        given["server"] = given
        assert "holds itself" in refusal(given)


class TestSecrets:
    def test_text_becomes_a_secret(self) -> None:
        settings = load({"password": "${PW}"}, PW="hunter2")
        assert settings.password is not None
        assert settings.password.reveal() == "hunter2"
        assert "hunter2" not in repr(settings)

    def test_a_variable_is_looked_up_at_each_use(self) -> None:
        env = {"PW": "one"}
        settings = load_settings(Settings, {"password": {"Env": "PW"}}, env=env)
        assert settings.password is not None
        assert settings.password.reveal() == "one"
        env["PW"] = "two"
        assert settings.password.reveal() == "two"

    def test_a_file_and_a_function_serve_too(self, tmp_path: Path) -> None:
        path = written(tmp_path, "pw", "hunter2\n")
        from_file = load({"password": {"file": "${PLACE}"}}, PLACE=str(path)).password
        from_function = load({"password": lambda: "hunter3"}).password
        assert from_file is not None
        assert from_function is not None
        assert (from_file.reveal(), from_function.reveal()) == ("hunter2", "hunter3")

    def test_none_stays_none(self) -> None:
        assert load({"password": None}).password is None

    def test_what_cannot_be_a_secret_is_refused_with_the_place(self) -> None:
        message = refusal({"password": 12345})
        assert "password in the settings given" in message
        assert "int" in message
        assert "12345" not in message

    @pytest.mark.parametrize(
        "given",
        [
            {"token_count": "hunter2"},
            {"password": {"text": "hunter2"}},
            {"ratio": "redis://u:hunter2@h"},
            {"max_download_mbs": ["hunter2"]},
        ],
    )
    def test_a_value_that_may_be_one_is_shown_nowhere(self, given: dict[str, Any]) -> None:
        with pytest.raises(InvalidConfig) as caught:
            load(given)
        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is None
