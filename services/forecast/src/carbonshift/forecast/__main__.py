"""`python -m carbonshift.forecast`: one process, until SIGTERM."""

from carbonshift.common.process import run_service
from carbonshift.forecast.app import build
from carbonshift.forecast.settings import ForecastSettings

run_service(build, ForecastSettings)
