"""Names, options, exit codes: what scripts rely on. Nothing here reaches a cluster."""

import io
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

import orjson
import pytest
import typer
import yaml

from tidegate.testing import a_deployment, a_referring_rollout
from tidegate_cli import terminal
from tidegate_cli.app import go_style_switches, main, program_name
from tidegate_cli.cluster import not_found
from tidegate_cli.commands.watch import run as run_to_end
from tidegate_cli.connection import Connection, merged

Outcome = tuple[int, str, str]
Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> Outcome:
        with pytest.raises(SystemExit) as end:
            main(words)
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return run


COMMANDS = (
    "get list status promote abort retry pause restart undo set terminate request events "
    "crds lint plan eval analyze demo up down services"
)


def test_help_names_every_command(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert {word for word in COMMANDS.split() if f"\n  {word} " in out} == set(COMMANDS.split())


def test_the_version_is_told_without_a_command(run: Run) -> None:
    code, out, _ = run("--version")
    assert (code, out) == (0, f"{metadata.version('tidegate')}\n")


@pytest.mark.parametrize("words", [[], ["get"], ["set"]])
def test_every_commands_summary_fits_its_line(run: Run, words: Sequence[str]) -> None:
    _, out, _ = run(*words, "--help")
    assert [line for line in out.partition("Commands:")[2].splitlines() if line.endswith("...")] == []


@pytest.mark.parametrize(
    ("path", "name"), [("/bin/tidegate", "tidegate"), ("/bin/kubectl-tidegate", "kubectl tidegate"), ("-c", "tidegate")]
)
def test_usage_names_the_command_as_it_was_typed(path: str, name: str) -> None:
    assert program_name(path) == name


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"], ["promote"], ["status", "web", "--timeout", "soon"], ["status", "web", "--timeout", "-1s"], ["request"],
        ["set", "image", "web"], ["terminate", "pod", "web"], ["undo", "web", "--to-revision", "-1"], ["list", "pods"],
        ["retry", "pod", "web"], ["get", "rollout", "web", "-o", "yaml"], ["demo", "--yes", "--abort"], ["demo"],
        ["request", "web"], ["request", "web", "--image", "app=demo:2", "--patch", "{}"], ["plan", "web.yaml", "-o", "wide"],
        ["undo", "web", "--to-revision", "last"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_wrong_command_line_ends_with_2_and_usage(run: Run, words: Sequence[str]) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert "Usage: tidegate" in err


def test_what_could_not_be_done_ends_with_1_and_one_line(run: Run, tmp_path: Path) -> None:
    code, out, err = run("--kubeconfig", str(tmp_path / "none"), "abort", "web")
    assert (code, out) == (1, "")
    assert err.startswith("tidegate: kubeconfig ")
    assert len(err.splitlines()) == 1


def test_an_image_without_its_container_is_explained(run: Run) -> None:
    for words in (["set", "image", "web", "app:1"], ["request", "web", "--image", "app:1"]):
        code, _, err = run(*words)
        assert code == 2
        assert "'app:1' is not CONTAINER=IMAGE, such as web=nginx:1.29 (or '*=nginx:1.29' for every container)" in err


@pytest.mark.parametrize(
    ("expression", "code", "out"), [("result > 1", 0, "true\n"), ("result + 1", 0, "3\n"), ("result >", 1, "")]
)
def test_eval_prints_the_value_or_the_mistake(run: Run, expression: str, code: int, out: str) -> None:
    assert run("eval", expression, "--result", "2")[:2] == (code, out)


def test_what_is_wrong_with_a_long_expression_fits_on_a_screen_with_the_caret_under_its_place(run: Run) -> None:
    literal = "9" * 3000
    for expression, reads, under in (
        (f"result > {literal} && true", "invalid integer literal: strconv.ParseInt: parsing", "&"),
        (f"{'true && ' * 300}nothing{' && true' * 300}", "unknown name nothing (1:2401)", "n"),
    ):
        code, out, err = run("eval", expression)
        first, line, caret = err.splitlines()
        assert (code, out, first.startswith(f"tidegate: {reads}")) == (1, "", True)
        assert (len(first) < 350, max(len(line), len(caret)) < 80, line[caret.index("^")]) == (True, True, under)


def test_eval_takes_an_expression_that_begins_with_a_minus_and_no_result(run: Run) -> None:
    assert run("eval", "-2 ** 2")[:2] == (0, "-4\n")


def test_eval_answers_a_batch_line_by_line_and_no_bad_line_stops_it(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "asked.jsonl"
    file.write_text(
        '{"expression": "result[0] / 2", "result": [1]}\n'
        "not JSON\n"
        "\n"
        '{"result": 1}\n'
        '{"expression": "result[1]", "result": [1]}\n'
        '{"expression": "1 / 0"}\n'
    )
    code, out, _ = run("eval", "--batch", str(file))
    assert code == 0
    assert [orjson.loads(line) for line in out.splitlines()] == [
        {"value": 0.5},
        {"error": "line 2 is not JSON: Expecting value: line 1 column 1 (char 0)"},
        {"error": 'line 4 must be an object with "expression", a text, and "result", any JSON value'},
        {"error": "index out of range: 1 (array length is 1) (1:7)"},
        {"value": "+Inf"},
    ]


@pytest.mark.parametrize("words", [["eval"], ["eval", "1", "--batch", "-"], ["eval", "--batch", "-", "-r", "1"]], ids=" ".join)
def test_eval_wants_an_expression_or_a_batch_not_both(run: Run, words: Sequence[str]) -> None:
    assert run(*words)[0] == 2


def test_crds_are_yaml_documents(run: Run) -> None:
    code, out, _ = run("crds")
    assert code == 0
    assert out.count("kind: CustomResourceDefinition") == 5


def test_lint_ends_with_1_when_it_finds_something(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: web}\nspec: {}\n")
    code, out, _ = run("lint", "-f", str(file))
    assert code == 1
    assert all(line.startswith(f"{file}: Rollout/web: ") for line in out.splitlines())


@pytest.mark.parametrize("words", [["lint", "-f"], ["plan"], ["analyze"], ["request", "web", "-f"]], ids=" ".join)
def test_what_is_no_yaml_is_said_with_the_files_name_the_line_and_the_column(run: Run, tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("kind: Rollout\nmetadata:\n  name: web\n bad: [1\n")
    said = "expected <block end>, but found '<block mapping start>' (block mapping from line 1 on)"
    assert run(*words, str(file)) == (1, "", f"tidegate: {file}:4:2: not YAML: {said}\n")


def test_what_no_yaml_may_hold_is_said_with_its_line_too(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    for text, said in (
        ("kind: Rollout\nname: a\x07b\n", ":2:8: not YAML: character U+0007 is not allowed"),
        ("a: *b\n", ":1:4: not YAML: found undefined alias 'b'"),
        ("a: 'b\n", ":2:1: not YAML: found unexpected end of stream (quoted scalar from line 1 on)"),
    ):
        file.write_text(text)
        assert run("lint", "-f", str(file)) == (1, "", f"tidegate: {file}{said}\n")


def test_a_patch_that_is_no_yaml_is_explained_in_one_line(run: Run) -> None:
    said = "tidegate: --patch:1:4: neither JSON nor YAML: expected the node content, but found '<stream end>'\n"
    assert run("request", "web", "--patch", "[1,") == (1, "", said)


def test_a_file_that_cannot_be_read_is_named_once_with_the_reason(run: Run, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"kind: \xff\n")
    for name, why in (("none", "No such file or directory"), ("", "Is a directory"), ("binary", "it is not UTF-8 text (byte 6)")):
        file = tmp_path / name
        assert run("lint", "-f", str(file)) == (1, "", f"tidegate: {file} cannot be read: {why}\n")


@pytest.mark.parametrize("text", ["", "# nothing\n---\n", "kind: List\nitems: []\n"])
def test_a_file_without_an_object_is_no_clean_file(run: Run, tmp_path: Path, text: str) -> None:
    file = tmp_path / "empty.yaml"
    file.write_text(text)
    assert run("lint", "-f", str(file)) == (1, "", f"tidegate: {file} holds no object; there is nothing to check\n")


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_after_ctrl_c_a_terminals_next_prompt_begins_on_a_line_of_its_own() -> None:
    screen, pipe = Tty(), io.StringIO()
    terminal.leave_line_of_interrupt(screen)
    terminal.leave_line_of_interrupt(pipe)
    assert (screen.getvalue(), pipe.getvalue()) == ("\n", "")


def test_ctrl_c_ends_a_command_with_130() -> None:
    async def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as end:
        run_to_end(interrupted())
    assert end.value.exit_code == 130


def test_a_name_that_is_not_there_is_answered_with_the_one_probably_meant_among_any_number() -> None:
    known = [*(f"app-{number:03}" for number in range(200)), "web"]
    said = not_found("rollout", "wbe", "shop", known)
    assert said.startswith('rollout "wbe" not found in namespace "shop"; did you mean "web"? there are: app-000, ')
    assert said.endswith("app-009, and 191 more")
    assert not_found("rollout", "web", "shop", []) == 'rollout "web" not found in namespace "shop"; there are: none'


SEED = str(Path(__file__).parents[3] / "deploy/examples/seed-rollout.yaml")


def test_plan_shows_the_whole_way_of_the_example(run: Run) -> None:
    code, out, _ = run("plan", SEED, "--person-resumes-after", "2m")
    assert code == 0
    first, *_, last = out.splitlines()
    assert first.split() == ["TIME", "STEP", "WEIGHT", "CANARY", "STABLE", "PHASE"]
    assert last.endswith("Healthy")


def test_plan_answers_what_if(run: Run) -> None:
    code, out, _ = run("plan", SEED, "--abort-at", "1", "-o", "json")
    assert code == 0
    assert orjson.loads(out)[-1]["phase"] == "Degraded"


def test_plan_of_a_rollout_that_refers_to_a_workload_needs_both(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "rollout.yaml"
    file.write_text(yaml.safe_dump(a_referring_rollout()))
    code, _, err = run("plan", str(file))
    assert (code, "not found; a timeline needs it in the same file" in err) == (1, True)
    file.write_text(yaml.safe_dump_all([a_referring_rollout(), a_deployment()]))
    code, out, _ = run("plan", str(file))
    assert (code, "Healthy" in out) == (0, True)


def test_plan_of_a_broken_rollout_is_refused(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("kind: Rollout\nmetadata: {name: web}\nspec: {}\n")
    code, out, err = run("plan", str(file))
    assert (code, out) == (1, "")
    assert err.startswith("tidegate: the planner would not act on it: spec.selector: Required value")


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        ("status web --watch=false", "status web --no-watch"),
        ("status web -w=false", "status web --no-watch"),
        ("get rollout web --watch=true", "get rollout web --watch"),
        ("promote web --full=true", "promote web --full"),
        ("promote web --full=false", "promote web"),
        ("request web --image app=true", "request web --image app=true"),
    ],
)
def test_switches_written_for_the_peer_are_understood(given: str, understood: str) -> None:
    assert go_style_switches(given.split()) == understood.split()


def test_an_option_after_the_command_wins_over_one_before_it() -> None:
    before = Connection(namespace="a", context="c")
    assert merged(before, {"namespace": "b", "context": None}) == Connection(namespace="b", context="c")


HEAVY = ("pydantic", "aiohttp", "nats", "faststream", "kubernetes", "tidegate_planner")


def test_help_does_not_load_what_it_does_not_need() -> None:
    program = f"import sys, tidegate_cli.app; print([each for each in {HEAVY} if each in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"
