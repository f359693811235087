"""`python -m carbonshift.forecast`: one process, until SIGTERM."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: threads gain nothing on fits so small, and spin

from carbonshift.common.process import run_service
from carbonshift.forecast.app import build
from carbonshift.forecast.settings import ForecastSettings

run_service(build, ForecastSettings)
