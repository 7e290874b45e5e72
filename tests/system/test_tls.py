"""OpenFlow over TLS: certificates good and bad, renewed, bound to names, and a handshake that never ends."""

import contextlib
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import time

import pytest
from lab import Switch, binary, inside, osken, sh, stop, wait_for
from raw import BARRIER_REPLY, BARRIER_REQUEST, ECHO_REQUEST, Controller, prompt

DPID = '00000000000000d1'

CA = '''
[ca]
default_ca = me
[me]
dir = %(dir)s
database = $dir/index
new_certs_dir = $dir
serial = $dir/serial
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = dn
prompt = no
[dn]
CN = %(name)s
[root]
basicConstraints = critical,CA:TRUE
subjectKeyIdentifier = hash
'''


class Authority:
    """A certificate authority of its own."""

    def __init__(self, base, name):
        self.dir = os.path.join(base, name)
        os.makedirs(self.dir)
        self.config, self.cert, self.key = (os.path.join(self.dir, f) for f in ('ca.cnf', 'ca.pem', 'ca.key'))
        for file, text in (('ca.cnf', CA % {'dir': self.dir, 'name': name}), ('index', ''), ('serial', '01\n')):
            with open(os.path.join(self.dir, file), 'w') as f:
                f.write(text)
        sh(['openssl', 'req', '-x509', '-config', self.config, '-extensions', 'root', '-newkey', 'ec', '-pkeyopt',
            'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30', '-keyout', self.key, '-out', self.cert])

    def issue(self, name, alternative='', start='20200101000000Z', end='20991231000000Z'):
        """A key and a certificate; their files."""
        key, request, cert, extensions = (os.path.join(self.dir, name + e) for e in ('.key', '.csr', '.pem', '.ext'))
        with open(extensions, 'w') as f:
            f.write('basicConstraints = CA:FALSE\n' + ('subjectAltName = %s\n' % alternative if alternative else ''))
        sh(['openssl', 'req', '-new', '-config', self.config, '-subj', '/CN=' + name, '-newkey', 'ec', '-pkeyopt',
            'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', request])
        sh(['openssl', 'ca', '-batch', '-config', self.config, '-cert', self.cert, '-keyfile', self.key, '-notext',
            '-in', request, '-out', cert, '-extfile', extensions, '-startdate', start, '-enddate', end])
        return key, cert


class Pki:
    """Authorities and certificates as the tests below want them."""

    def __init__(self, base):
        self.dir = base
        self.good, self.other = Authority(base, 'good'), Authority(base, 'other')
        self.switch = self.good.issue('sw', 'DNS:sw,URI:dpid:' + DPID)
        self.controller = self.good.issue('ctl', 'DNS:ctl.example')
        self.expired = self.good.issue('old', end='20200201000000Z')
        self.early = self.good.issue('early', start='20900101000000Z')
        self.stranger = self.other.issue('stranger')
        self.elsewhere = self.good.issue('elsewhere', 'URI:dpid:00000000000000d2')

    def context(self, pair, server=False, authority=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations((authority or self.good).cert)
        context.load_cert_chain(pair[1], pair[0])
        return context


@pytest.fixture(scope='module')
def pki(tmp_path_factory):
    return Pki(str(tmp_path_factory.mktemp('pki')))


def files(pair, authority):
    return ['--tls-key', pair[0], '--tls-cert', pair[1], '--tls-ca', authority.cert]


def listening(lab, pki, *args, pair=None, wait=True):
    """A switch with a TLS listener, and the namespace."""
    ns = lab.ns('sw')
    return Switch(lab, ns, '--dpid', DPID, '--fail-mode', 'secure', '--local-port', '--listen', 'ptls:6654:127.0.0.1',
                  *files(pair or pki.switch, pki.good), *args, wait=wait)


def plain(switch):
    with inside(switch.ns):
        s = socket.socket()
    s.settimeout(10)
    s.connect(('127.0.0.1', 6654))
    return s


def visit(switch, context):
    """A controller that came over TLS; the handshake fails here, or what follows it does."""
    return Controller(context.wrap_socket(plain(switch)))


def refused(switch, context, reason):
    """A visitor that is refused, and why in the log."""
    with contextlib.suppress(OSError, AssertionError):
        visitor = visit(switch, context)
        assert not wait_for('an end', lambda: visitor.closed)
    wait_for('the reason in the log', lambda: reason in switch.output())
    assert all(c['purpose'] != 'visitor' for c in switch.manage('connections'))


@pytest.mark.needs('ovs-pki', 'ovs-ofctl')
def test_os_ken_and_ovs_ofctl_with_ovs_pki(lab):
    # As in os-ken's manual, "Setup TLS Connection".
    pki = os.path.join(lab.dir, 'pki')
    ovs_pki = ['ovs-pki', '--dir=' + pki, '--log=' + os.path.join(lab.dir, 'pki.log')]
    sh(ovs_pki + ['init'], cwd=lab.dir)
    sh(ovs_pki + ['req+sign', 'ctl', 'controller'], cwd=lab.dir)
    sh(ovs_pki + ['req+sign', 'sc', 'switch'], cwd=lab.dir)
    mine = lambda name: os.path.join(lab.dir, name)  # noqa: E731
    sw, hosts = lab.star(2)
    osken(lab, sw, 'os_ken.app.simple_switch_13', args=[
        '--ofp-ssl-listen-port', '6633', '--ctl-privkey', mine('ctl-privkey.pem'), '--ctl-cert', mine('ctl-cert.pem'),
        '--ca-certs', pki + '/switchca/cacert.pem'])
    switch = Switch(lab, sw, '--controller', 'ssl:127.0.0.1:6633', '--listen', 'pssl:6654:127.0.0.1', '--tls-key',
                    mine('sc-privkey.pem'), '--tls-cert', mine('sc-cert.pem'), '--tls-ca',
                    pki + '/controllerca/cacert.pem', ports=['1=s1', '2=s2'])
    wait_for('the session', lambda: any(c['state'] == 'active' and c['peer'].startswith('tls:')
                                        for c in switch.manage('connections')), 30)
    wait_for('an answer', lambda: hosts[0].ping(hosts[1], 1) == 1, 30)
    shown = sh(['ip', 'netns', 'exec', sw, 'ovs-ofctl', '-O', 'OpenFlow13', '--private-key=' + mine('ctl-privkey.pem'),
                '--certificate=' + mine('ctl-cert.pem'), '--ca-cert=' + pki + '/switchca/cacert.pem', 'dump-flows',
                'ssl:127.0.0.1:6654']).stdout
    assert 'in_port=' in shown, shown


def test_both_sides_show_certificates(lab, pki):
    switch = listening(lab, pki)
    visitor = visit(switch, pki.context(pki.controller))
    assert visitor.features() == (0xd1, 0)
    # Nobody gets in without one.
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    nobody.check_hostname = False
    nobody.load_verify_locations(pki.good.cert)
    visitor.close()
    wait_for('its end', lambda: all(c['purpose'] != 'visitor' for c in switch.manage('connections')))
    refused(switch, nobody, 'the peer shows no certificate')


def test_ofctl_speaks_tls_as_ovs_ofctl_does(lab, pki):
    switch = listening(lab, pki)

    def of(pair, authority, *first):
        words = ['-p', pair[0], '-c', pair[1], '-C', authority.cert]
        return sh(['ip', 'netns', 'exec', switch.ns, binary('ofctl'), *words, *first, 'ssl:127.0.0.1:6654'], check=False)
    shown = of(pki.controller, pki.good, 'show')
    assert shown.returncode == 0 and 'datapath ' + DPID in shown.stdout, shown.stderr
    # More than TLS has in one record.
    flows = ''.join('priority=%d,ip,actions=drop\n' % n for n in range(1, 2001))
    switch.ofctl('add-flows', '-', input=flows)
    assert len(of(pki.controller, pki.good, 'dump-flows').stdout.splitlines()) == 2000
    wrong = of(pki.controller, pki.other, 'show')
    assert wrong.returncode == 1 and 'UnknownIssuer' in wrong.stderr, wrong.stderr
    assert of(pki.stranger, pki.good, 'show').returncode == 1
    unsaid = sh([binary('ofctl'), 'show', 'ssl:127.0.0.1:6654'], check=False)
    assert unsaid.returncode == 2 and '--private-key, --certificate and --ca-cert' in unsaid.stderr
    missing = sh([binary('ofctl'), '-p', '/nonexistent', '-c', pki.switch[1], '-C', pki.good.cert, 'show', 'ssl:h'],
                 check=False)
    assert missing.returncode == 1 and '/nonexistent' in missing.stderr


def test_without_tls_nobody_gets_in(lab, pki):
    switch = listening(lab, pki)
    with plain(switch) as s:
        s.sendall(b'\x04\x00\x00\x08\x00\x00\x00\x01' * 10)
        wait_for('the reason', lambda: "the peer doesn't speak TLS" in switch.output())


@pytest.mark.parametrize('who, reason', [
    ('expired', "the peer's certificate has expired"),
    ('early', "the peer's certificate isn't valid yet"),
    ('stranger', "the peer's certificate isn't signed by the authority of --tls-ca"),
])
def test_a_bad_visitor_is_told_from_a_good_one(lab, pki, who, reason):
    switch = listening(lab, pki)
    refused(switch, pki.context(getattr(pki, who)), reason)
    assert visit(switch, pki.context(pki.controller)).features()[0] == 0xd1


@pytest.mark.parametrize('who, options, reason', [
    ('expired', '', "the peer's certificate has expired"),
    ('stranger', '', "the peer's certificate isn't signed by the authority of --tls-ca"),
    ('controller', ',name=c0.example', "bears `ctl.example`, `ctl`; expected `c0.example`"),
])
def test_a_bad_controller_is_not_talked_to(lab, pki, who, options, reason):
    ns = lab.ns('sw')
    with inside(ns):
        listener = socket.socket()
    listener.bind(('127.0.0.1', 6653))
    listener.listen(5)
    switch = Switch(lab, ns, '--local-port', '--controller', 'tls:127.0.0.1' + options,
                    *files(pki.switch, pki.good))
    listener.settimeout(10)
    with contextlib.suppress(ssl.SSLError, OSError):
        s = pki.context(getattr(pki, who), server=True).wrap_socket(listener.accept()[0], server_side=True)
        assert s.recv(1) == b'', 'not even a hello'
    wait_for('the reason', lambda: reason in switch.output())
    # Management says it, too.
    wait_for('the reason', lambda: reason in str(switch.manage('connections')))
    listener.close()


def test_the_right_controller_is_taken_by_name(lab, pki):
    ns = lab.ns('sw')
    with inside(ns):
        listener = socket.socket()
    listener.bind(('127.0.0.1', 6653))
    listener.listen(5)
    Switch(lab, ns, '--dpid', DPID, '--local-port', '--controller', 'tls:127.0.0.1,name=CTL.example,auxiliary=1',
           *files(pki.switch, pki.good))
    listener.settimeout(10)
    accept = lambda: Controller(pki.context(pki.controller, server=True).wrap_socket(  # noqa: E731
        listener.accept()[0], server_side=True))
    assert accept().features() == (0xd1, 0)
    assert accept().features() == (0xd1, 1), 'the auxiliary connection, by TLS as well'
    listener.close()


def test_certificates_bound_to_the_datapath(lab, pki):
    switch = listening(lab, pki, '--tls-bind-dpid', '--tls-peer', 'ctl', '--tls-peer', 'elsewhere')
    assert visit(switch, pki.context(pki.controller)).features()[0] == 0xd1
    bound = 'the peer\'s certificate is for other datapaths: it bears `dpid:00000000000000d2`'
    with contextlib.suppress(OSError, AssertionError):
        visitor = visit(switch, pki.context(pki.elsewhere))
        wait_for('an end', lambda: visitor.closed)
    wait_for('the reason', lambda: bound in switch.output())
    # One of the authority's, but nobody of ours; the log tells the same thing once a second.
    time.sleep(1.1)
    with contextlib.suppress(OSError, AssertionError):
        visitor = visit(switch, pki.context(pki.switch))
        wait_for('an end', lambda: visitor.closed)
    wait_for('the reason', lambda: 'expected one of `ctl`, `elsewhere`' in switch.output())


@pytest.mark.parametrize('key, cert, args, reason', [
    ('controller', 'switch', [], "doesn't go with --tls-key"),
    ('elsewhere', 'elsewhere', ['--tls-bind-dpid'], 'must bear `dpid:%s`' % DPID),
    ('controller', 'controller', ['--tls-bind-dpid'], 'must bear `dpid:%s`' % DPID),
])
def test_a_wrong_own_certificate_is_said_at_the_start(lab, pki, key, cert, args, reason):
    pair = (getattr(pki, key)[0], getattr(pki, cert)[1])
    switch = listening(lab, pki, *args, pair=pair, wait=False)
    wait_for('its end', lambda: switch.process.poll() is not None)
    assert switch.process.returncode != 0
    assert reason in switch.output() and '--tls-cert %s: ' % pair[1] in switch.output(), switch.output()


@pytest.mark.parametrize('option, content, reason', [
    ('--tls-key', None, "can't be read as a PEM key"),
    ('--tls-key', 'cert', "can't be read as a PEM key"),
    ('--tls-cert', 'key', 'there is no certificate in it'),
    ('--tls-ca', 'nothing', 'there is no certificate in it'),
])
def test_a_file_that_is_none_is_told_with_its_option(lab, pki, option, content, reason):
    given = dict(zip(('--tls-key', '--tls-cert', '--tls-ca'), (*pki.switch, pki.good.cert)))
    text = {'cert': pki.switch[1], 'key': pki.switch[0]}.get(content)
    given[option] = os.path.join(lab.dir, 'wrong')
    if content:
        with open(given[option], 'w') as f:
            f.write(open(text).read() if text else 'nothing\n')
    words = [w for pair in given.items() for w in pair]
    switch = Switch(lab, lab.ns('sw'), '--listen', 'ptls:6654:127.0.0.1', *words, wait=False)
    wait_for('its end', lambda: switch.process.poll() is not None)
    assert switch.process.returncode == 1
    assert '%s %s: ' % (option, given[option]) in switch.output() and reason in switch.output(), switch.output()


def test_an_own_certificate_that_has_expired_is_told_and_what_peers_say_of_it(lab, pki):
    switch = listening(lab, pki, pair=pki.expired)
    assert '--tls-cert %s: the certificate has expired' % pki.expired[1] in switch.output()
    refused(switch, pki.context(pki.controller), 'the peer says that our certificate (--tls-cert) has expired')


class Installed:
    """A switch's own files, renewed as they should be: each at one stroke."""

    def __init__(self, lab, pki):
        self.own = [os.path.join(lab.dir, f) for f in ('own.key', 'own.pem', 'own-ca.pem')]
        self.renew(pki.switch, pki.good)
        self.options = ['--listen', 'ptls:6654:127.0.0.1', '--tls-key', self.own[0], '--tls-cert', self.own[1], '--tls-ca',
                        self.own[2]]

    def renew(self, pair, authority):
        for source, target in zip((*pair, authority.cert), self.own):
            shutil.copy(source, target + '.new')
            os.rename(target + '.new', target)


def serial(controller):
    return controller.certificate['serialNumber']


def test_renewed_files_need_no_restart(lab, pki):
    files = Installed(lab, pki)
    own, install = files.own, files.renew
    switch = Switch(lab, lab.ns('sw'), '--local-port', *files.options)
    first = visit(switch, pki.context(pki.controller))
    assert first.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY
    before = serial(first)
    # Half of it: the old ones stay.
    shutil.copy(pki.stranger[0], own[0])
    assert serial(visit(switch, pki.context(pki.controller))) == before
    assert 'TLS files are unusable; what was read before stays' in switch.output()
    # Another authority altogether.
    install(pki.stranger, pki.other)
    stranger = pki.context(pki.stranger, authority=pki.other)
    wait_for('the new files', lambda: try_visit(switch, stranger))
    assert 'TLS files read again' in switch.output()
    renewed = visit(switch, stranger)
    assert renewed.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY
    refused_by_new = pki.context(pki.controller)
    with pytest.raises((OSError, AssertionError)):
        visit(switch, refused_by_new).ask(ECHO_REQUEST, timeout=3)
    # Who was there stays.
    assert first.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY


@pytest.mark.timeout(300)
def test_renewed_files_while_everything_runs(lab, pki):
    """Certificates change time and again: who is connected stays, who comes sees the new one, and packets go on."""
    installed = Installed(lab, pki)
    sw, hosts = lab.star(2)
    with inside(sw):
        listener = socket.socket()
    listener.bind(('127.0.0.1', 6653))
    listener.listen(5)
    listener.settimeout(30)
    switch = Switch(lab, sw, '--fail-mode', 'secure', '--controller', 'tls:127.0.0.1', *installed.options,
                    ports=['1=s1', '2=s2'])
    context, own = pki.context(pki.controller), pki.context(pki.controller, server=True)
    accept = lambda: Controller(own.wrap_socket(listener.accept()[0], server_side=True))  # noqa: E731
    dialled, visitor = accept(), visit(switch, context)
    switch.ofctl('add-flow', 'actions=normal')
    first = serial(visitor)
    assert serial(dialled) == first
    traffic = lab.spawn(hosts[0].ns, ['ping', '-q', '-i', '0.01', '-W', '5', hosts[1].ip], log=lab.dir + '/ping.log')
    seen = {first}
    for n in range(5):
        installed.renew(pki.good.issue('renewed%d' % n), pki.good)
        shown = wait_for('a new certificate', lambda: {serial(visit(switch, context))} - seen).pop()
        seen.add(shown)
        for controller in (dialled, visitor):
            assert controller.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY and serial(controller) == first
        assert hosts[1].ping(hosts[0], 3, 5) == 3
    # Whoever is dialled anew sees it, too.
    dialled.close()
    again = accept()
    assert serial(again) == shown and again.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY
    assert switch.output().count('TLS files read again') >= 5, switch.output()
    stop(traffic, signal.SIGINT)
    with open(lab.dir + '/ping.log') as f:
        sent, answered = map(int, re.search(r'(\d+) packets transmitted, (\d+) received', f.read()).groups())
    # Those under way at the end aside.
    assert sent and answered >= .9 * sent - 5, (sent, answered)
    listener.close()


def try_visit(switch, context):
    with contextlib.suppress(OSError):
        visit(switch, context).close()
        return True
    return False


@pytest.mark.parametrize('kind', ['ptls', 'ptcp'])
def test_ten_thousand_silent_connections(lab, pki, kind):
    """M10: 10,000 connects, none of which says a word or ends its handshake, hurt nobody."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 10_500
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), max(hard, wanted)))
    switch = listening(lab, pki, '--listen', 'ptcp:6655:127.0.0.1')
    live = visit(switch, pki.context(pki.controller))
    live.control()
    resident = lambda: int(next(line.split()[1] for line in open('/proc/%d/status' % pid(switch))  # noqa: E731
                                if line.startswith('VmRSS')))
    before = resident()
    times, held = [], []
    try:
        for n in range(10_000):
            with inside(switch.ns):
                s = socket.socket()
            s.settimeout(5)
            held.append(s)
            with contextlib.suppress(OSError):
                s.connect(('127.0.0.1', 6654 if kind == 'ptls' else 6655))
                # The beginning of a handshake's record, or of a hello.
                s.send(b'\x16\x03\x01\x02\x00\x01' if kind == 'ptls' else b'\x04\x00\x00')
            if n % 500 == 499:
                times += [live.ask(ECHO_REQUEST)[2], live.ask(BARRIER_REQUEST)[2]]
        assert len(held) == 10_000
        prompt(times)
        grown = resident() - before
        assert grown < 64_000, '%d kB more' % grown
        print('%s: 10,000 connections, %d kB more' % (kind, grown))
        # While they are all there, another controller gets in.
        assert visit(switch, pki.context(pki.controller)).ask(BARRIER_REQUEST)[0] == BARRIER_REPLY
        assert sum(c['state'] == 'hello' for c in switch.manage('connections')) <= 64 + 1
    finally:
        for s in held:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert live.ask(BARRIER_REQUEST)[0] == BARRIER_REPLY
    assert len(switch.output()) < 100_000, 'the log stays short'


def pid(switch):
    return int(sh(['pgrep', '-f', switch.of_socket]).stdout.split()[-1])
