"""`python -m carbonshift.gpu_worker`."""

import gc

from carbonshift.common.process import run_service
from carbonshift.gpu_worker.app import build
from carbonshift.gpu_worker.privilege import keep_only_sys_admin
from carbonshift.gpu_worker.settings import GpuWorkerSettings

if __name__ == "__main__":
    keep_only_sys_admin()  # before there is a second thread
    gc.freeze()  # what has been imported stays: an agent at rest has nothing to look for there
    run_service(build, GpuWorkerSettings)
