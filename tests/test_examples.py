"""The examples that users copy must run as they stand."""

import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"


@pytest.mark.slow
def test_the_study_in_the_readme_runs_and_estradiol_keeps_bone(capsys):
    code = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    names: dict = {}
    exec(compile(code.group(1), str(README), "exec"), names)
    seen = names["seen"]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    untreated, treated = (
        [float(number) for number in re.findall(r"[\d.]+", line.split("bone volume")[1].split("]")[0])]
        for line in lines[1:]
    )
    assert untreated[0] == pytest.approx(treated[0])
    assert untreated[-1] < treated[-1] < untreated[0]
    assert seen.failure_load.shape == (4, 1)
