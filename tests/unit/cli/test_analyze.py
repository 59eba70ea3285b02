"""`tidegate analyze FILE`: what it prints, and how it ends."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
import yaml

from tidegate_analyzer.testing import Endpoint, Reply
from tidegate_cli.analysis import measurement_line, verdict_line
from tidegate_cli.app import main

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


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        endpoint.answer("/rate", Reply(body=b"0.99"))
        yield endpoint


@pytest.fixture
def file(tmp_path: Path, endpoint: Endpoint) -> Path:
    """A template that asks for `{{args.path}}`; a Service stands beside it."""
    metric = {
        "name": "rate", "successCondition": "result > asFloat({{args.least}})", "consecutiveErrorLimit": 0,
        "provider": {"web": {"url": endpoint.url("/{{args.path}}")}},
    }  # fmt: skip
    spec = {"args": [{"name": "path"}, {"name": "least", "value": "0.5"}], "metrics": [metric]}
    file = tmp_path / "template.yaml"
    file.write_text(yaml.safe_dump_all([{"kind": "Service"}, {"kind": "AnalysisTemplate", "spec": spec}]))
    return file


def test_a_successful_analysis_ends_with_0_and_plain_lines(run: Run, file: Path) -> None:
    code, out, err = run("analyze", str(file), "--args", "path=rate")
    first, last = out.splitlines()
    assert (code, err, last) == (0, "", "Successful")
    assert first.split() in ([f"{seconds}s", "rate", "Successful", "0.99"] for seconds in range(60))


def test_any_other_verdict_ends_with_1_and_says_why(run: Run, file: Path) -> None:
    code, out, _ = run("analyze", str(file), "--args", "path=rate", "-a", "least=0.999")
    assert (code, out.splitlines()[-1]) == (1, 'Failed: Metric "rate" assessed Failed due to failed (1) > failureLimit (0)')
    code, out, _ = run("analyze", str(file), "--args", "path=absent")
    assert (code, "received non 2xx response code: 404" in out) == (1, True)


def test_as_json_each_measurement_is_a_line_and_the_status_the_last(run: Run, file: Path) -> None:
    code, out, _ = run("analyze", str(file), "--args", "path=rate", "-o", "json")
    measured, status = map(orjson.loads, out.splitlines())
    assert measured == {"metric": "rate", "phase": "Successful", "value": "0.99", "message": ""}
    assert (code, status["phase"], status["runSummary"]) == (0, "Successful", {"count": 1, "successful": 1})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "args.path was not resolved"),
        (["--args", "path=rate", "--args", "colour=red"], "argument 'colour' is not one of the template's: path, least"),
    ],
)
def test_wrong_arguments_are_explained_in_one_line(run: Run, file: Path, words: list[str], said: str) -> None:
    assert run("analyze", str(file), *words) == (1, "", f"tidegate: {said}\n")


def test_a_file_without_a_template_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "none.yaml").write_text("kind: Service\n")
    code, _, err = run("analyze", str(tmp_path / "none.yaml"))
    assert (code, err) == (
        1, "tidegate: the file holds 0 of AnalysisTemplate, ClusterAnalysisTemplate, AnalysisRun; exactly one can be analyzed\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        ("promethius", "spec.metrics[1].provider: 'promethius' is unknown; known: cloudWatch, datadog, "),
        ("job", "spec.metrics[1].provider: 'job' needs a cluster; known: cloudWatch, datadog, "),
    ],
)
def test_a_provider_that_cannot_measure_here_is_said_before_anything_is_measured(
    run: Run, tmp_path: Path, endpoint: Endpoint, provider: str, said: str
) -> None:
    file = tmp_path / "template.yaml"
    metrics = [{"name": "a", "provider": {"web": {"url": endpoint.url("/rate")}}}, {"name": "b", "provider": {provider: {}}}]
    file.write_text(yaml.safe_dump({"kind": "AnalysisTemplate", "spec": {"metrics": metrics}}))
    code, out, err = run("analyze", str(file))
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert err.startswith(f"tidegate: {said}")


def test_a_terminal_sees_colours_and_a_pipe_does_not() -> None:
    measured = {"metric": "m", "phase": "Failed", "value": "0.1", "message": ""}
    assert measurement_line(measured, timedelta(seconds=65)) == "  65s  m  Failed  0.1"
    assert "\x1b[31m" in measurement_line(measured, timedelta(), colour=True)
    assert verdict_line({"phase": "Inconclusive", "message": "why"}) == "Inconclusive: why"
