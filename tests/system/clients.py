"""What the tests of controllers' applications share."""

import json
import os
import subprocess
import sys

from lab import Switch, osken, wait_for

# One HTTP request from inside a namespace: method, address, body; prints status and body.
HTTP = '''
import sys, urllib.request, urllib.error
method, url, body = sys.argv[1:4]
r = urllib.request.Request(url, body.encode() or None, method=method)
try:
    with urllib.request.urlopen(r, timeout=90) as a:
        print(a.status)
        print(a.read().decode())
except urllib.error.HTTPError as e:
    print(e.code)
    print(e.read().decode())
except OSError as e:
    print(0)
    print(e)
'''


class Rest:
    """The REST interface of an os-ken application in a namespace."""

    def __init__(self, ns):
        self.ns = ns

    def ask(self, method, path, body=None):
        """Status and what the body says."""
        text = '' if body is None else json.dumps(body)
        done = subprocess.run(['ip', 'netns', 'exec', self.ns, sys.executable, '-c', HTTP, method,
                               'http://127.0.0.1:8080' + path, text], stdout=subprocess.PIPE, text=True, timeout=100)
        status, _, body = done.stdout.partition('\n')
        try:
            return int(status), json.loads(body)
        except ValueError:
            return int(status), body.strip()

    def get(self, path):
        status, body = self.ask('GET', path)
        assert status == 200, (path, status, body)
        return body

    def post(self, path, body, method='POST'):
        status, answer = self.ask(method, path, body)
        assert status == 200, (path, body, status, answer)
        return answer

    def put(self, path, body=None):
        return self.post(path, body, 'PUT')


def connected(switch):
    return any(c['state'] == 'active' for c in switch.manage('connections'))


def controller_log(lab):
    with open(os.path.join(lab.dir, 'osken.log'), errors='replace') as f:
        return f.read()


def application(lab, app, count, *args, controller_args=(), addresses=True):
    """An application that controls one switch with hosts; returns (hosts, switch, Rest)."""
    sw, hosts = lab.star(count, addresses=addresses)
    osken(lab, sw, app, args=controller_args)
    switch = Switch(lab, sw, '--dpid', '0000000000000001', '--controller', 'tcp:127.0.0.1:6653', *args,
                    ports=['%d=s%d' % (h.n, h.n) for h in hosts])
    wait_for('the session', lambda: connected(switch), 30)
    return hosts, switch, Rest(sw)


def refused(switch):
    """What the switch refused the controller, as its log says it."""
    return [line for line in switch.output().splitlines() if 'request refused' in line]
