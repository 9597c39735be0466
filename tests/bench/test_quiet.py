import pytest

from bench.quiet import CpuTimes, Disturbance, Watch, cpu_times

STAT = "cpu  100 20 30 4000 500 6 7 80 9 9\ncpu0 1 1 1 1 1 1 1 1 1 1\n"


def test_work_is_all_but_idling_waiting_and_what_the_host_took() -> None:
    assert cpu_times(STAT, 100) == CpuTimes(worked_s=1.63, stolen_s=0.8)


@pytest.mark.parametrize("text", ["", "cpu 1 2 3", "intr 1 2 3 4 5 6 7 8 9"])
def test_another_file_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not /proc/stat"):
        cpu_times(text, 100)


def test_what_we_used_ourselves_is_no_disturbance() -> None:
    now, used, own = [0.0], [CpuTimes(100.0, 1.0)], [5.0]
    watch = Watch(lambda: now[0], lambda: used[0], lambda: own[0])
    now[0], used[0], own[0] = 10.0, CpuTimes(118.0, 1.5), 20.0
    assert watch.disturbance() == Disturbance(others_cores=0.3, stolen_cores=0.05)
    own[0] = 23.0
    assert watch.disturbance() == Disturbance(others_cores=0.0, stolen_cores=0.05)


def test_a_tenth_of_a_core_is_the_limit() -> None:
    assert not Disturbance(0.06, 0.04).too_much
    assert Disturbance(0.06, 0.05).too_much
