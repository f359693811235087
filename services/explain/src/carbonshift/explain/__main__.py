"""`python -m carbonshift.explain`: one process, until SIGTERM."""

from carbonshift.common.process import run_service
from carbonshift.explain.app import build
from carbonshift.explain.settings import ExplainSettings

run_service(build, ExplainSettings)
