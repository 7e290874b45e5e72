"""A mistake in the command line or the file is named, with what was expected."""

import pytest
from lab import binary, sh

BAD = [
    (['--dpid', 'xyz', '--port', 'lo'], ['--dpid', 'hex']),
    (['--port', '0=eth0'], ['--port', '0']),
    (['--port', 'a_name_that_is_too_long'], ['--port', '15']),
    (['--port', 'eth0,workers=none'], ['none', 'workers']),
    (['--port', 'lo', '--worker-cpus', '0-'], ['cpu']),
    (['--port', 'eth0,type=floppy'], ['floppy', 'af_packet']),
    (['--port', 'lo', '--controller', 'carrier-pigeon:1'], ['carrier-pigeon', 'tcp']),
    (['--port', 'lo', '--controller', 'tcp:127.0.0.1:99999'], ['99999']),
    (['--port', 'lo', '--protocol', '1.9'], ['1.9', '1.3']),
    (['--port', 'lo', '--fail-mode', 'maybe'], ['maybe', 'secure']),
    (['--no-such-option'], ['--no-such-option']),
]


@pytest.mark.parametrize('args,words', BAD, ids=lambda x: ' '.join(x) if isinstance(x, list) else None)
def test_bad_option(args, words):
    done = sh([binary('switchd'), *args], check=False, timeout=10)
    assert done.returncode != 0
    for word in words:
        assert word.lower() in (done.stderr + done.stdout).lower()


FILES = [
    ('[[bridge]]\nname = "br0"\nports = 5\n', ['line 3', 'ports']),
    ('[[bridge]]\nname = "br0"\ncolour = "red"\n', ['line 3', 'colour']),
    ('[[bridge]]\nname = \n', ['line 2']),
    ('[[bridge]]\nname = "br0"\ndpid = "zz"\n', ['dpid', 'hex']),
]


@pytest.mark.parametrize('text,words', FILES, ids=range(len(FILES)))
def test_bad_file(tmp_path, text, words):
    path = tmp_path / 'switchd.toml'
    path.write_text(text)
    done = sh([binary('switchd'), '--config', str(path)], check=False, timeout=10)
    assert done.returncode != 0
    for word in words:
        assert word.lower() in (done.stderr + done.stdout).lower(), done.stderr


def test_help_and_version():
    text = sh([binary('switchd'), '--help']).stdout
    for option in ('--name', '--dpid', '--port', '--controller', '--protocol', '--fail-mode', '--listen', '--workers',
                   '--management', '--log', '--config', '--local-port', '--worker-cpus'):
        assert option in text
    assert sh([binary('switchd'), '--version']).stdout.startswith('switchd ')
