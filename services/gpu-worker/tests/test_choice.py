import pytest

from carbonshift.common.errors import InputError
from carbonshift.gpu_worker.devices.choice import choose_devices
from carbonshift.gpu_worker.doctor import inspect_devices
from carbonshift.gpu_worker.settings import GpuWorkerSettings


def settings(**given) -> GpuWorkerSettings:
    return GpuWorkerSettings(worker="bench", **given)


def test_the_uuid_names_the_board():
    backend, (device,) = choose_devices(settings(device_backend="simulated", device_uuid="SIM-bench"))
    assert (backend.name, device.uuid) == ("simulated", "SIM-bench")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"device_backend": "simulated", "device_uuid": "GPU-9"}, "has no such board; it has SIM-bench"),
        ({"device_backend": "abacus"}, "nothing is registered as 'abacus'"),
    ],
)
def test_what_cannot_be_had_is_told_with_what_can(given, says):
    with pytest.raises(InputError) as raised:
        choose_devices(settings(**given))
    assert says in str(raised.value)


def test_the_doctor_sees_every_backend():
    reports = inspect_devices(settings())
    assert {report.backend for report in reports} >= {"nvml", "simulated"}
    for report in reports:
        assert report.uuid or report.lacks
        assert all(lack.what and lack.remedy for lack in report.lacks)
