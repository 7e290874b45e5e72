"""A run: the test network, the switch under test, the tester, and what it says of each test."""

import importlib.metadata
import json
import os
import shlex
import shutil
import sys
import tempfile
import time

from bench import CTL_SUT_IP, TARGET_DPID, TESTER_DPID, Bench, Ovs, SetupError, sh
from patterns import VERSIONS, load_patterns, pattern_root
from report import load, print_report, tally

CONTROLLER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'controller.py')


def start_target(args, bench, proto):
    """Start the switch under test; returns its process."""
    ports = [(1, 't1'), (2, 't2'), (3, 't3')]
    if args.target_cmd is None:
        ovs = Ovs(bench, 'target-ovs', bench.sut)
        ovs.start()
        ovs.bridge('target', TARGET_DPID, proto,
                   ports, 'tcp:127.0.0.1:%d' % args.ofport)
        return ovs.vswitchd
    fields = {
        'dpid': '%016x' % TARGET_DPID, 'dpid_int': str(TARGET_DPID),
        'if1': 't1', 'if2': 't2', 'if3': 't3', 'ofport': str(args.ofport),
        'controller': 'tcp:127.0.0.1:%d' % args.ofport,
        'protocol': proto, 'version': VERSIONS[args.version][2],
        'rundir': bench.workdir}
    argv = [word.format(**fields) for word in shlex.split(args.target_cmd)]
    return bench.start('target', bench.sut, argv)


def run(args):
    if os.geteuid():
        raise SetupError('must be root (network namespaces)')
    tester_opt, proto, _ = VERSIONS[args.version]
    tester_name = args.tester_version or args.version.replace('of15', 'of14')
    workdir = os.path.abspath(
        args.workdir or tempfile.mkdtemp(prefix='osken-conf-'))
    os.makedirs(workdir, exist_ok=True)
    root = args.patterns or pattern_root(args.version, workdir)
    dirs = args.dirs.split(',') if args.dirs else None
    timed = {'only': True, 'skip': False}.get(args.timed)
    files = load_patterns(args.version, root, dirs, args.filter, timed)
    if args.only_failed_of:
        bad = {(f['file'], t['index'])
               for f in load(args.only_failed_of)['files']
               for t in f['tests'] if t['result'] != 'OK'}
        for f in files:
            f['tests'] = [t for t in f['tests']
                          if (f['file'], t['index']) in bad]
        files = [f for f in files if f['tests']]
    if args.settle is None:
        args.settle = 0 if args.target_cmd else 0.1
    if args.retries is None:
        args.retries = 0 if args.target_cmd else 1
    if not files:
        raise SetupError('no test matches')
    index = {(f['file'], t['index']): t for f in files for t in f['tests']}
    total = len(index)
    events = os.path.join(workdir, 'events.jsonl')
    open(events, 'w').close()

    bench = Bench(workdir)
    began = time.time()
    state = {'end': False, 'limit_hit': False, 'target_restarts': 0,
             'disconnects': 0, 'notes': []}
    versions_seen = {}
    done = 0
    try:
        bench.build()
        ref = Ovs(bench, 'tester-ovs', bench.ref)
        ref.start()

        def start_controller():
            left = []
            for f in files:
                tests = [t for t in f['tests'] if 'result' not in t]
                if tests:
                    left.append({'file': f['file'], 'tests': tests})
            spec = os.path.join(workdir, 'spec.json')
            with open(spec, 'w') as fh:
                json.dump({'root': root, 'files': left, 'events': events,
                           'ofport': args.ofport, 'duration': args.duration,
                           'test_limit': args.test_limit,
                           'settle': args.settle,
                           'stock': args.stock,
                           'miss_wait': args.miss_wait,
                           'retries': args.retries,
                           'lost_retries': args.lost_retries,
                           'target_version': tester_opt,
                           'tester_version': VERSIONS[tester_name][0]}, fh)
            return bench.start('controller', bench.sut,
                               [sys.executable, CONTROLLER, spec],
                               {'OSKEN_HUB_TYPE': 'eventlet',
                                'PYTHONUNBUFFERED': '1'})

        controller = start_controller()
        ref.bridge('tester', TESTER_DPID, VERSIONS[tester_name][1],
                   [(1, 's1'), (2, 's2'), (3, 's3')],
                   'tcp:%s:%d' % (CTL_SUT_IP, args.ofport))
        target = start_target(args, bench, proto)

        offset = 0
        started = None
        first_connect = {}
        controller_restarts = 0
        while True:
            with open(events) as fh:
                fh.seek(offset)
                chunk = fh.read()
            if chunk and not chunk.endswith('\n'):
                chunk = chunk[:chunk.rfind('\n') + 1]
            offset += len(chunk.encode())
            for line in chunk.splitlines():
                ev = json.loads(line)
                kind = ev['event']
                if kind == 'result':
                    test = index[(ev['file'], ev['index'])]
                    test.update(result=ev['result'], reason=ev['reason'],
                                elapsed_s=ev['elapsed_s'])
                    if ev['attempts'] > 1:
                        test['attempts'] = ev['attempts']
                    if ev['offered']:
                        test['offered'] = ev['offered']
                    done += 1
                    started = None
                    if args.verbose:
                        print('[%4d/%d] %-5s %s: %s%s' % (
                            done, total, ev['result'], ev['file'],
                            test['description'],
                            '\n           ' + ev['reason']
                            if ev['reason'] else ''), flush=True)
                elif kind == 'start':
                    started = (ev['file'], ev['index'])
                elif kind == 'connect':
                    versions_seen[str(ev['dpid'])] = ev['version']
                    first_connect.setdefault(ev['dpid'], time.time() - began)
                elif kind == 'disconnect' and ev['dpid'] == TARGET_DPID:
                    state['disconnects'] += 1
                elif kind == 'file_error':
                    state['notes'].append('%(file)s: %(error)s' % ev)
                elif kind == 'end':
                    state['end'] = True
            if state['end']:
                break
            now = time.time()
            if now - began > args.time_limit:
                state['limit_hit'] = True
                state['notes'].append('time limit of %gs reached'
                                      % args.time_limit)
                break
            if now - began > args.connect_limit and \
                    TARGET_DPID not in first_connect:
                state['notes'].append(
                    'the target did not connect within %gs'
                    % args.connect_limit)
                break
            if target.poll() is not None:
                state['notes'].append('target exited with status %s during %s'
                                      % (target.returncode, started))
                if args.target_cmd is None or \
                        state['target_restarts'] >= args.max_restarts:
                    break
                state['target_restarts'] += 1
                bench.stop(target)
                target = start_target(args, bench, proto)
            if controller.poll() is not None and not chunk:
                # A greenlet hub gone wrong: go on after the test it was in.
                if started and 'result' not in index[started]:
                    index[started].update(
                        result='ERROR', elapsed_s=None,
                        reason='Harness: the tester process ended')
                    done += 1
                    started = None
                controller_restarts += 1
                if controller_restarts > args.max_restarts or done == total:
                    state['notes'].append('the tester process ended')
                    break
                controller = start_controller()
            time.sleep(0.2)
    finally:
        bench.close()

    for f in files:
        for t in f['tests']:
            t.setdefault('result', 'NOT_RUN')
            t.setdefault('reason', '')
    result = {
        'tool': 'os-ken switch tester',
        'os_ken': importlib.metadata.version('os-ken'),
        'version': args.version,
        'target': args.target_cmd or 'ovs (netdev) '
        + sh('ovs-vswitchd', '--version').split('\n')[0].split()[-1],
        'started': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(began)),
        'elapsed_s': round(time.time() - began, 1),
        'duration_override': args.duration,
        'settle_s': args.settle,
        'stock': args.stock,
        'retries': args.retries,
        'connected_versions': versions_seen,
        'target_restarts': state['target_restarts'],
        'target_disconnects': state['disconnects'],
        'complete': done == total,
        'notes': state['notes'],
        'totals': tally(files),
        'files': files,
    }
    if args.out:
        with open(args.out, 'w') as fh:
            json.dump(result, fh, indent=1)
            fh.write('\n')
    print_report(result)
    if args.workdir is None and not args.keep:
        shutil.rmtree(workdir, ignore_errors=True)
    else:
        print('logs in', workdir)
    return 0 if done == total else 1
