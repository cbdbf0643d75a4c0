"""In which order the quick tests run, and which of them run in one process, where several processes share them.

A group is run by one process: what its files make once a process (a browser, a dossier of everything, an import of
seconds) is made once. Groups are begun in this order: first those that wait much, for a browser or for servers, so that
others compute meanwhile; then those that compute long; small files come last, so that all processes end together.
"""

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("forks", (  # one server of forks (tests/forked.py), which imports everything
        "tests/docs/test_commands.py", "tests/bench/test_bench.py", "tests/train/test_pause.py",
        "tests/train/test_training.py",
    )),
    ("browser", ("tests/web/", "tests/console/")),
    ("servers", ("tests/server/test_life.py", "tests/server/test_cli.py")),
    ("transformers", (
        "tests/model/test_families.py", "tests/model/test_moe_families.py", "tests/model/test_golden.py",
        "tests/model/test_count.py", "tests/model/test_export.py", "tests/model/test_next_token.py",
        "tests/model/test_text_part.py", "tests/model/test_moe_files.py", "tests/train/test_loss.py",
        "tests/train/test_mask.py", "tests/train/test_foreign_mask.py", "tests/text/test_templates.py",
        "tests/text/test_template_safety.py", "tests/text/test_tokenizer.py", "tests/text/test_chat.py",
        "tests/text/test_foreign_tokenizers.py",
    )),
    ("house", ("tests/test_house.py", "tests/test_packages.py", "tests/core/test_sentences.py")),
    ("builds", ("tests/data/test_build.py",)),
    ("dossiers", ("tests/dossier/",)),
    ("endpoints", ("tests/evals/test_echo.py", "tests/evals/test_strange_endpoints.py")),
    ("sandbox", ("tests/evals/test_sandbox.py", "tests/evals/test_livecodebench.py", "tests/evals/test_code_tasks.py")),
    ("both", ("tests/evals/test_local_and_served.py",)),
    ("native", ("tests/native/",)),
    ("memory", ("tests/audit/test_own_memory.py", "tests/audit/test_own_levels.py")),
    ("trials", ("tests/audit/test_service_trials.py",)),
)  # fmt: skip


def group_of(nodeid: str) -> str:
    """The group of a test, which is its file where no other shares anything with it."""
    file = nodeid.split("::", 1)[0]
    return next((name for name, places in GROUPS if file.startswith(places)), file)


def rank(nodeid: str) -> tuple[int, int]:
    """Where a test comes: groups in their order, and their files in the order above; all others keep theirs."""
    file = nodeid.split("::", 1)[0]
    for at, (_, places) in enumerate(GROUPS):
        for inside, place in enumerate(places):
            if file.startswith(place):
                return at, inside
    return len(GROUPS), 0
