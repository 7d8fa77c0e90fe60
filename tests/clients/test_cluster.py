"""The Job in examples/cluster, held against the schema of Kubernetes itself."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = [pytest.mark.client, pytest.mark.filterwarnings("ignore")]
JOB = Path(__file__).parents[2] / "examples/cluster/kubernetes.yaml"


def test_the_job_is_one() -> None:
    checker = pytest.importorskip("kubernetes_validate")
    yaml = pytest.importorskip("yaml")
    job = yaml.safe_load(JOB.read_text(encoding="utf-8"))
    checker.validate(job, checker.latest_version(), strict=True)
    job["spec"]["completion"] = job["spec"].pop("completions")
    with pytest.raises(checker.ValidationError):
        checker.validate(job, checker.latest_version(), strict=True)
