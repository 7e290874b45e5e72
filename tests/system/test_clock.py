"""M19: the wall clock jumps; what has to do with how long something takes goes by the monotonic clock."""

import os
import re
import struct
import time

import pytest
from lab import Switch, sh, wait_for
from raw import BARRIER_REPLY, BARRIER_REQUEST, ECHO_REPLY, ECHO_REQUEST, Controller

# In front of the C library: wall clocks are ahead by as many seconds as the file says.
SHIM = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long ahead(void) {
    char text[32] = "";
    int fd = open(getenv("CLOCK_AHEAD"), O_RDONLY);
    if (fd >= 0) {
        if (read(fd, text, sizeof text - 1) < 0) text[0] = 0;
        close(fd);
    }
    return atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    int r = syscall(SYS_clock_gettime, clock, at);
    if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI)) at->tv_sec += ahead();
    return r;
}

int gettimeofday(struct timeval *at, void *zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
"""
DAY = 86_400


@pytest.mark.needs('cc')
def test_the_wall_clock_jumps_and_nothing_ends(lab):
    source, shim, file = (os.path.join(lab.dir, name) for name in ('shim.c', 'shim.so', 'ahead'))
    with open(source, 'w') as f:
        f.write(SHIM)
    sh(['cc', '-shared', '-fPIC', '-O1', '-o', shim, source])

    def jump(seconds):
        with open(file + '.new', 'w') as f:
            f.write(str(seconds))
        os.rename(file + '.new', file)

    jump(0)
    sw, hosts = lab.star(2)
    switch = Switch(lab, sw, '--fail-mode', 'secure', ports=['1=s1', '2=s2'], env={'LD_PRELOAD': shim, 'CLOCK_AHEAD': file})
    # Tools, which come and go with every call, are told of in detail alone.
    switch.manage('set-log', {'filter': 'debug'})
    controller = Controller(switch.of_socket)
    switch.ofctl('add-flow', 'priority=5,idle_timeout=600,hard_timeout=3600,actions=normal')
    switch.ofctl('add-flow', 'priority=9,udp,hard_timeout=3600,actions=drop')
    assert hosts[0].ping(hosts[1]) == 3

    def logged():
        """The day of the log's last line, in the clock of who writes it."""
        days = re.findall(r'(\d{4}-\d\d-\d\d)T\d\d:', switch.output())
        return days[-1] if days else None

    for ahead in (DAY, -DAY, 365 * DAY, -365 * DAY, 0):
        jump(ahead)
        # Whoever comes and goes is in the log, with the time.
        Controller(switch.of_socket).close()
        near = [time.strftime('%Y-%m-%d', time.gmtime(time.time() + ahead + n)) for n in (-60, 0, 60)]
        wait_for('the log to have the day %s' % near[1], lambda near=near: logged() in near)
        # A hard timeout of a second is one: the flow is there at once, and ends. No other does.
        controller.send(14, struct.pack('!QQBBHHHIIIHxx', 0, 0, 0, 0, 0, 1, 7, 0xffffffff, 0xffffffff, 0xffffffff, 0)
                        + b'\0\1\0\4\0\0\0\0')
        assert controller.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY
        wait_for('the flow of a second to end', lambda: switch.ofctl('dump-flows').count('priority=') == 2, 20)
        for duration in re.findall(r'duration=([\d.]+)s', switch.ofctl('dump-flows')):
            assert float(duration) < 300
        assert controller.ask(ECHO_REQUEST)[0] == ECHO_REPLY
        assert hosts[0].ping(hosts[1]) == 3
    assert not controller.closed
