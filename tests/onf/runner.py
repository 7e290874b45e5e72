"""Runs the cases on several benches at once and writes the report."""

import argparse
import glob
import importlib
import multiprocessing
import os
import sys
import time

import harness
from harness import HERE, NOT_APPLICABLE, TESTS, Bench, explain

sys.path.insert(0, HERE)


def known_cases():
    with open(os.path.join(HERE, 'cases.tsv')) as f:
        return [tuple(line.rstrip('\n').split('\t')) for line in f if not line.startswith('#')]


def load():
    for path in sorted(glob.glob(os.path.join(HERE, 'suite_*.py'))):
        name = os.path.basename(path)[:-3]
        before = len(TESTS)
        importlib.import_module(name)
        for t in TESTS[before:]:
            t.file = name


def work(todo, done):
    """One worker: a bench, made when first needed, and cases until there are none left."""
    bench = None
    try:
        while (n := todo.get()) is not None:
            test, began = TESTS[n], time.monotonic()
            lab = None
            try:
                if test.bench:
                    if bench is None:
                        bench = Bench()
                    bench.reset()
                    test.function(bench)
                    if bench.switch.process.poll() is not None:
                        raise AssertionError('the switch ended')
                else:
                    lab = harness._lab.Lab()
                    test.function(lab)
                result = ''
            except Exception as e:
                result = explain(e)
                if test.bench and bench is not None:
                    log = bench.switch.output()
                    if 'panicked' in log:
                        result += ' | the log has a panic: ' + log[log.index('panicked') - 100:][:400]
                    bench.close()  # its state is unknown
                    bench = None
            finally:
                if lab:
                    lab.close()
            done.put((n, result, time.monotonic() - began))
    finally:
        if bench:
            bench.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--jobs', type=int, default=4)
    parser.add_argument('--times', action='store_true', help='print the slowest cases')
    parser.add_argument('which', nargs='*')
    args = parser.parse_args()
    load()
    cases = known_cases()
    ids = {i for i, _ in cases}
    bad = []
    accounted = set(NOT_APPLICABLE)
    for t in TESTS:
        accounted |= set(t.ids)
    for i in sorted(accounted - ids):
        bad.append('%s: not in the list' % i)
    for i in sorted(set(NOT_APPLICABLE) & {i for t in TESTS for i in t.ids}):
        bad.append('%s: both tested and called not applicable' % i)
    missing = [i for i, _ in cases if i not in accounted]
    if missing and not args.which:
        bad.append('%d ids have neither a test nor a reason: %s' % (len(missing), ' '.join(missing)))

    def picked(t):
        return not args.which or any(i == w or (w.endswith('.') and i.startswith(w)) for w in args.which for i in t.ids)

    chosen = [n for n, t in enumerate(TESTS) if picked(t)]
    if not chosen:
        sys.exit('no such case')
    todo, done = multiprocessing.Queue(), multiprocessing.Queue()
    # Those with a switch of their own first: they wait the longest.
    for n in sorted(chosen, key=lambda n: TESTS[n].bench):
        todo.put(n)
    jobs = min(args.jobs, len(chosen))
    workers = [multiprocessing.Process(target=work, args=(todo, done)) for _ in range(jobs)]
    for w in workers:
        todo.put(None)
    began = time.monotonic()
    for w in workers:
        w.start()
    results, times = {}, {}
    while len(results) < len(chosen):
        try:
            n, result, seconds = done.get(timeout=180)
        except Exception:
            bad.append('no result for three minutes: ' + ', '.join(TESTS[n].name for n in chosen if n not in results))
            break
        results[n], times[n] = result, seconds
    for w in workers:
        w.join(30)
        if w.is_alive():
            w.terminate()
    for n in chosen:
        t, r = TESTS[n], results.get(n, 'no result')
        if r and not t.failing:
            bad.append('%s %s.%s: %s' % (' '.join(t.ids), t.file, t.name, r))
        if not r and t.failing:
            bad.append('%s %s.%s: passes, but is listed as failing: %s' % (' '.join(t.ids), t.file, t.name, t.failing))
    if args.times:
        for n in sorted(times, key=times.get)[-25:]:
            print('%6.1f s  %s %s' % (times[n], ' '.join(TESTS[n].ids), TESTS[n].name))
    for line in bad:
        print('FAILED ' + line)

    rows, count = [], {}
    for i, name in cases:
        tests = [(n, TESTS[n]) for n in range(len(TESTS)) if i in TESTS[n].ids]
        if i in NOT_APPLICABLE:
            result, text, remark = 'not applicable', '', NOT_APPLICABLE[i]
        elif not tests:
            result, text, remark = 'NOT COVERED', '', ''
        else:
            text = ', '.join('`%s.%s`' % (t.file.replace('suite_', ''), t.name) for _, t in tests)
            failed = [t.failing or results.get(n, 'not run') for n, t in tests if results.get(n, 'not run')]
            result = 'FAIL' if failed else 'not applicable' if all(t.na for _, t in tests) else 'pass'
            remark = '; '.join(dict.fromkeys(failed or [t.na or t.note for _, t in tests if t.na or t.note]))
        count[result] = count.get(result, 0) + 1
        rows.append('| %s | %s | %s | %s | %s |' % (i, name, text.replace('|', '\\|'), result, remark.replace('|', '\\|')))
    summary = ', '.join('%d %s' % (count[k], k) for k in sorted(count, key=lambda k: -count[k]))
    if not args.which:
        with open(os.path.join(HERE, 'report.md'), 'w') as f:
            f.write('# The ONF case list for OpenFlow 1.3\n\nWritten by `tests/onf/run`; do not edit. %d ids: %s.\n\n'
                    'The ids and names are those of `cases.tsv`, the tests are our own.\n\n'
                    '| id | name | test | result | remark |\n|---|---|---|---|---|\n%s\n' % (len(cases), summary, '\n'.join(rows)))
    print('%s%d tests in %.0f s, %d failed' % ('' if args.which else summary + '; ', len(results), time.monotonic() - began,
                                               sum(1 for n in results if results[n])))
    sys.exit(1 if bad else 0)


if __name__ == '__main__':
    main()
