"""`python -m carbonshift.decide`: one process, until SIGTERM."""

from carbonshift.common.process import run_service
from carbonshift.decide.app import build
from carbonshift.decide.settings import DecideSettings

run_service(build, DecideSettings)
