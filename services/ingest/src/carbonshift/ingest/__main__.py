"""`python -m carbonshift.ingest`: one process, until SIGTERM."""

from carbonshift.common.process import run_service
from carbonshift.ingest.app import build
from carbonshift.ingest.settings import IngestSettings

run_service(build, IngestSettings)
