"""`python -m carbonshift.gpu_worker`."""

from carbonshift.common.process import run_service
from carbonshift.gpu_worker.app import build
from carbonshift.gpu_worker.settings import GpuWorkerSettings

if __name__ == "__main__":
    run_service(build, GpuWorkerSettings)
