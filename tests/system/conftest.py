import os
import shutil
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lab as _lab  # noqa: E402


def pytest_addoption(parser):
    parser.addoption('--long', action='store_true', help='the slow tests too')


def pytest_configure(config):
    config.addinivalue_line('markers', 'long: slow; runs with --long')
    config.addinivalue_line('markers', 'needs(program): skipped where a program is not installed')


def pytest_collection_modifyitems(config, items):
    for item in items:
        if 'long' in item.keywords and not config.getoption('--long'):
            item.add_marker(pytest.mark.skip(reason='slow: tests/run --long runs it'))
        for mark in item.iter_markers('needs'):
            for program in mark.args:
                if shutil.which(program) is None:
                    item.add_marker(pytest.mark.skip(reason='%s is not installed' % program))
        if os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason='needs root for network namespaces'))


@pytest.fixture
def lab():
    made = _lab.Lab()
    yield made
    made.close()


@pytest.fixture(scope='module')
def pair(request):
    """This switch and Open vSwitch, for all tests of a file."""
    from beside_ovs import Pair
    made = _lab.Lab()
    try:
        yield Pair(made, request.module.VLAN_LIMIT, getattr(request.module, 'FAIL_MODE', 'secure'),
                   getattr(request.module, 'OPTIONS', ()))
    finally:
        made.close()
