"""The commands for records."""

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import holdall
from cli.conftest import Run
from holdall import Query, Record
from holdall.cli.databases import group, query_of

ALICE = '{"id": "user-1", "name": "Alice", "age": 30, "address": {"city": "Bern"}}'
BOB = '{"id": "user-2", "name": "Bob", "age": 17}'


@pytest.fixture
def filled(run: Run) -> Run:
    run("db", "create", "app.db", ALICE)
    run("db", "create", "app.db", BOB, "--metadata", '{"owner": "x"}')
    return run


def rows_of(answer: Any) -> list[list[str]]:
    return [line.split("\t") for line in answer.stdout.splitlines()]


def test_a_record_is_created_and_got(run: Run) -> None:
    assert run("db", "create", "app.db", ALICE).stdout == "user-1\n"
    shown = run("db", "get", "app.db", "user-1").stdout
    assert "name                 Alice\n" in shown
    assert 'address              {"city":"Bern"}\n' in shown
    assert "metadata.created_at  2" in shown


def test_it_is_the_database_that_python_opens(filled: Run, here: Path) -> None:
    with holdall.open_database("sqlite:///app.db") as db:
        assert db.count() == 2
        db.create(Record({"when": date(2024, 1, 1)}, id="x"))
    again = json.loads(filled("db", "get", "app.db", "x", "--json").stdout)
    assert again["fields"] == {"when": {"$date": "2024-01-01"}}
    assert Record.from_json(json.dumps(again)).id == "x"


def test_a_record_comes_from_standard_input(run: Run) -> None:
    run("db", "create", "app.db", "-", "--id", "y", typed='{"at": {"$date": "2024-01-01"}}')
    assert rows_of(run("db", "search", "app.db", "at >= 2024-01-01"))[1] == ["y", "2024-01-01"]


def test_a_new_record_does_not_replace_one(filled: Run) -> None:
    assert "user-1" in filled("db", "create", "app.db", ALICE, code=1).stderr
    assert filled("db", "create", "app.db", ALICE, "--upsert").stdout == "user-1\n"


def test_what_is_not_there_is_said(filled: Run) -> None:
    answer = filled("db", "get", "app.db", "user-9", "user-2", code=1)
    assert "'user-9'" in answer.stderr
    assert "Bob" in answer.stdout
    assert "'user-9'" in filled("db", "rm", "app.db", "user-9", code=1).stderr
    assert "'user-9'" in filled("db", "update", "app.db", "user-9", "{}", code=1).stderr


def test_an_update_changes_some_fields(filled: Run) -> None:
    filled("db", "update", "app.db", "user-1", '{"age": 31, "address.city": "Basel"}')
    fields = json.loads(filled("db", "get", "app.db", "user-1", "--json").stdout)["fields"]
    assert fields == json.loads(ALICE) | {"age": 31, "address": {"city": "Basel"}}
    filled("db", "update", "app.db", "user-1", '{"name": "A"}', "--replace")
    fields = json.loads(filled("db", "get", "app.db", "user-1", "--json").stdout)["fields"]
    assert fields == {"name": "A"}


def test_each_command_prints_json_for_scripts(filled: Run) -> None:
    def told(*words: str, code: int = 0) -> list[Any]:
        answer = filled("db", words[0], "app.db", *words[1:], "--json", code=code)
        return [json.loads(line) for line in answer.stdout.splitlines()]

    assert told("create", '{"id": "user-3"}') == [{"id": "user-3"}]
    (changed,) = told("update", "user-3", '{"age": 5}')
    assert changed["fields"] == {"id": "user-3", "age": 5}
    (replaced,) = told("update", "user-3", '{"age": 6}', "--replace")
    assert replaced["fields"] == {"age": 6}
    assert told("count", "age = 6") == [{"count": 1}]
    assert told("index", "age", "name") == [{"indexed": ["age", "name"]}]
    assert told("rm", "user-3", "user-9", code=1) == [
        {"id": "user-3", "deleted": True},
        {"id": "user-9", "deleted": False},
    ]


def test_a_search_prints_a_table(filled: Run) -> None:
    found = rows_of(filled("db", "search", "app.db", "age >= 1", "--sort", "-age"))
    assert found == [
        ["id", "name", "age", "address"],
        ["user-1", "Alice", "30", '{"city":"Bern"}'],
        ["user-2", "Bob", "17", ""],
    ]


def test_a_search_takes_what_a_query_has(filled: Run) -> None:
    found = rows_of(
        filled("db", "search", "app.db", "--select", "address.city, name", "-s", "name", "-n", "1")
    )
    assert found == [["id", "address.city", "name"], ["user-1", "Bern", "Alice"]]
    assert len(rows_of(filled("db", "search", "app.db", "--offset", "1"))) == 2
    lines = filled("db", "search", "app.db", 'name like "B%"', "--json").stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["user-2"]


def test_a_count_is_a_number(filled: Run) -> None:
    assert filled("db", "count", "app.db").stdout == "2\n"
    assert filled("db", "count", "app.db", "metadata.owner = 'x' or age > 50").stdout == "1\n"


def test_a_field_is_indexed(filled: Run) -> None:
    assert filled("db", "index", "app.db", "name", "age").stdout == "indexed name, age\n"
    assert filled("db", "count", "app.db", "name = 'Bob'").stdout == "1\n"


def test_records_are_deleted(filled: Run) -> None:
    filled("db", "rm", "app.db", "user-1", "user-2")
    assert filled("db", "count", "app.db").stdout == "0\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("search", "app.db", "age >="), "line 1, column 7: expected a value"),
        (("search", "app.db", "--sort", ""), "names no field"),
        (("search", "app.db", "--limit", "-1"), "limit"),
        (("create", "app.db", "{"), "no JSON"),
        (("create", "app.db", "[1]"), "JSON object"),
        (("create", "app.db", '{"a": {"$int": "x"}}'), r"$int"),
        (("count", "nowhere"), "no database"),
        (("count", "momory://"), "Did you mean 'memory'"),
    ],
)
def test_a_mistake_is_one_line(run: Run, words: tuple[str, ...], said: str) -> None:
    answer = run("db", *words, code=1 if "$int" in said else 2)
    assert said in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_a_configuration_is_a_database(run: Run, here: Path) -> None:
    (here / "data.toml").write_text('type = "sqlite"\npath = "other.db"\n')
    run("db", "create", "data.toml", BOB)
    assert run("db", "count", "other.db").stdout == "1\n"


def test_help_teaches_the_conditions(run: Run) -> None:
    assert "startswith" in run("db", "search", "--help").stdout
    assert "holdall db search" in run("db", "--help").stdout


def test_records_go_to_a_file_and_come_back(filled: Run, here: Path) -> None:
    answer = filled("db", "export", "app.db", "out.jsonl", "age >= 1", "--sort", "-age")
    assert answer.stdout == "wrote 2 records to out.jsonl\n"
    ids = [json.loads(line)["id"] for line in (here / "out.jsonl").read_text().splitlines()]
    assert ids == ["user-1", "user-2"]
    answer = filled("db", "import", "other.db", "out.jsonl")
    assert answer.stdout == "wrote 2 records of 2\n"
    one, other = (holdall.open_database(f"sqlite:///{name}.db") for name in ("app", "other"))
    with one, other:
        assert one.all() == other.all()


def test_an_import_tells_what_could_not_be_written(filled: Run, here: Path) -> None:
    (here / "in.csv").write_text("id,name,age\nuser-1,A,5\nuser-7,B,6\n")
    answer = filled("db", "import", "app.db", "in.csv", "--infer", "--json", code=1)
    assert json.loads(answer.stdout) == {"read": 2, "written": 1, "failed": 1}
    assert "user-1" in answer.stderr
    assert filled("db", "count", "app.db", "age = 6").stdout == "1\n"
    filled("db", "import", "app.db", "in.csv", "--infer", "--upsert")
    assert filled("db", "count", "app.db", "age = 5").stdout == "1\n"


def test_records_go_through_a_pipe(filled: Run) -> None:
    lines = filled("db", "export", "app.db", "-").stdout
    filled("db", "import", "piped.db", "-", typed=lines)
    assert filled("db", "count", "piped.db").stdout == "2\n"


def test_a_file_that_is_not_there_is_said(filled: Run) -> None:
    assert "none.jsonl" in filled("db", "import", "app.db", "none.jsonl", code=1).stderr
    assert "format" in filled("db", "export", "app.db", "out.xyz", code=2).stderr


def test_records_are_migrated(filled: Run, here: Path) -> None:
    url = f"file://{here}/archive"
    answer = filled("db", "migrate", "app.db", url, "age < 20", "--delete-source")
    assert answer.stdout == "read 1 record, 1 written, 1 deleted\n"
    assert filled("db", "count", "app.db").stdout == "1\n"
    answer = filled("db", "migrate", "app.db", url, "--json")
    assert json.loads(answer.stdout)["written"] == 1
    with holdall.open_database(url) as archive:
        assert [record.id for record in archive.all()] == ["user-1", "user-2"]


@pytest.mark.parametrize("name", sorted(str(one.name) for one in group.registered_commands))
def test_every_command_has_help_with_an_example(run: Run, name: str) -> None:
    text = run("db", name, "--help").stdout
    assert re.search(rf"Examples?:\n(.*\n)*? .*holdall db {name} ", text)


@pytest.mark.parametrize("name", sorted(str(one.name) for one in group.registered_commands))
def test_every_command_is_documented(name: str) -> None:
    page = Path(__file__).parents[2] / "docs" / "command-line.md"
    assert re.search(rf"^    holdall db {name} ", page.read_text(), re.MULTILINE)


def test_a_database_that_is_not_there_is_no_new_one(run: Run, here: Path) -> None:
    run("db", "search", "none.db", code=1)
    run("db", "count", "none.db", code=1)
    assert not (here / "none.db").exists()


def test_the_query_of_a_command_is_that_of_python() -> None:
    query = query_of("a = 1", ["-b", "c"], 3, 4)
    expected = Query().filter("a", "=", 1).sort("b", "desc").sort("c").limit(3).offset(4)
    assert query == expected
