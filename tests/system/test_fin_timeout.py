"""A real TCP connection's end shortens the flow that carried it."""

import sys

from lab import Switch, wait_for

SERVER = '''
import socket
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("10.0.0.2", 7)); s.listen()
while True:
    c, _ = s.accept()
    while c.recv(100): c.sendall(b"x")
    c.close()
'''
CLIENT = '''
import socket, sys
c = socket.create_connection(("10.0.0.2", 7), 5)
c.sendall(b"x"); assert c.recv(1) == b"x"
print("said", flush=True); sys.stdin.readline()
'''


def test_a_connection_that_ends_shortens_its_flow(lab):
    import subprocess
    sw, hosts = lab.star(2)
    switch = Switch(lab, sw, '--fail-mode', 'secure', ports=['1=s1', '2=s2'])
    switch.ofctl('add-flow', 'arp,actions=normal')
    switch.ofctl('add-flow', 'in_port=2,tcp,actions=output:1')
    switch.ofctl('add-flow', 'in_port=1,tcp,idle_timeout=600,hard_timeout=900,'
                             'actions=fin_timeout(idle_timeout=2,hard_timeout=700),output:2')
    lab.spawn(hosts[1].ns, [sys.executable, '-c', SERVER])
    wait_for('the server', lambda: ':7' in hosts[1].run('ss -ltn', check=False).stdout)

    def flow():
        return next((f for f in switch.ofctl('dump-flows').splitlines() if 'fin_timeout' in f), '')

    client = subprocess.Popen(['ip', 'netns', 'exec', hosts[0].ns, sys.executable, '-c', CLIENT],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert client.stdout.readline() == 'said\n'
        assert ' idle_timeout=600' in flow().replace(',', ' ') and 'hard_timeout=900' in flow()
        client.stdin.close()
        assert client.wait(10) == 0
    finally:
        client.kill()
    wait_for('shorter timeouts', lambda: 'idle_timeout=2,' in flow() and 'hard_timeout=700' in flow())
    wait_for('the end of the flow', lambda: flow() == '')
