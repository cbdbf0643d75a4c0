"""The tests of openai-python for its administration client, run against our server: openai_admin.py CHECKOUT

CHECKOUT is a folder with openai-python's source. Its tests ask for things by made-up ids (`project_id`, `user_id`), so
before each test the directory is filled with things of these ids. Values that a server with a meaning must refuse are
replaced by some that it takes: REPLACED, FIELDS. Resources that we do not have are left out: ABSENT. The last line is
one JSON object.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ABSENT = {
    "certificates": "client certificates are checked by a proxy", "data_retention": "not built",
    "external_storage": "not built", "hosted_tool_permissions": "no hosted tools",
}  # fmt: skip
REPLACED = {
    r'permissions=\["string"\]': 'permissions=["inference"]', r'scopes=\["string"\]': 'scopes=["inference"]',
    r'email="email"': 'email="new@example.org"', r'role="role"': 'role="reader"', r'"id": "id"': '"id": "project_id"',
    # A user of a project needs an id or an address; the tests of required fields give neither.
    r'(projects\.users\.(?:with_\w+\.)?create\(\n +project_id="project_id",\n +role="\w+",)(\n +\))':
        r'\1 user_id="user_id",\2',
    # Buckets begin somewhere, and money has an amount.
    r"start_time=0,": "start_time=1790000000,", r"end_time=0,": "end_time=1790086400,",
    r"(bucket_width=[\s\S]{0,200}?)limit=0,": r"\1limit=1,", r'page="page",': 'page="page_0",',
    r'rate_limit_id="rate_limit_id"': 'rate_limit_id="rl-all"', "proj_123": "project_id",
    r'recipients": \["string"\]': 'recipients": ["a@b.org"]',
    r"\n +(?:batch_1_day_max_input_tokens|max_audio_megabytes_per_1_minute|max_images_per_1_minute)=0,": "",
    # One role at a time.
    r'(role="reader",)\n +role_id="role_id",': r'\1',
}  # fmt: skip
FIELDS = r"\n +(?:geography|external_key_id|developer_persona|technical_level|residency)=[^\n]*,"
CONFTEST = """
import os
import pytest
from openai import OpenAI
from openai_admin_house import House

house = House()


@pytest.fixture(scope="session")
def client(request):
    with OpenAI(
        base_url=house.url, api_key=house.key, admin_api_key=house.key, max_retries=0,
        _strict_response_validation=request.param,
    ) as client:
        yield client


@pytest.fixture(autouse=True)
def filled(request):
    house.fill(of_project="/projects/" in str(request.node.path))


def pytest_unconfigure():
    house.close()
"""


def prepare(checkout: Path, room: Path) -> int:
    """Copy the tests, with what REPLACED says; how many files."""
    kept = 0
    for file in sorted((checkout / "tests" / "api_resources" / "admin").rglob("test_*.py")):
        if file.stem.removeprefix("test_") in ABSENT:
            continue
        text = file.read_text()
        for pattern, value in REPLACED.items():
            text = re.sub(pattern, value, text)
        text = re.sub(FIELDS, "", text)
        if file.parent.name == "projects" or "projects" in file.parts:
            text = text.replace('role="reader"', 'role="member"')
        text = text.replace("from tests.", "from peer_tests.")
        target = room / "peer_tests" / file.relative_to(checkout / "tests")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        kept += 1
    for folder in {file.parent for file in room.rglob("test_*.py")} | {room / "peer_tests"}:
        (folder / "__init__.py").touch()
    (room / "peer_tests" / "utils.py").write_text((checkout / "tests" / "utils.py").read_text())
    (room / "conftest.py").write_text(CONFTEST)
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("-k", default="not Async")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        files = prepare(args.checkout, room)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", args.k, "--rootdir", str(room)]
        command += ["-W", "default", "-o", "addopts=", str(room / "peer_tests"), "--tb=line"]
        environment = {"PYTHONPATH": f"{Path.cwd()}:{Path(__file__).parent}:{room}"}
        ran = subprocess.run(
            command, cwd=room, env=os.environ | environment, capture_output=True, text=True, check=False
        )
    print((ran.stdout + ran.stderr)[-6000:])
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|error|skipped)", ran.stdout)}
    print(json.dumps({"files": files, **counts, "absent": sorted(ABSENT)}))
    return ran.returncode


if __name__ == "__main__":
    sys.exit(main())
