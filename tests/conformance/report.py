"""Results: the score of one, several put together, two compared."""

import collections
import json

from bench import SetupError
from patterns import CATEGORIES, load_patterns, pattern_root


def tally(files):
    """{category: {required|optional: {ok, error, not_run}}} with totals."""
    totals = {}
    for entry in files:
        for test in entry['tests']:
            part = 'required' if test['required'] else 'optional'
            for cat in (entry['category'], 'total'):
                row = totals.setdefault(cat, {
                    p: {'ok': 0, 'error': 0, 'not_run': 0}
                    for p in ('required', 'optional', 'all')})
                key = {'OK': 'ok', 'ERROR': 'error'}.get(
                    test.get('result'), 'not_run')
                for p in (part, 'all'):
                    row[p][key] += 1
    return totals


def print_report(result, failures=False):
    print('%s  target: %s  (%s, %ss%s)' % (
        result['version'], result['target'], result['started'],
        result['elapsed_s'], '' if result['complete'] else ', INCOMPLETE'))
    print('%-10s %15s %15s %15s' % ('', 'required', 'optional', 'all'))
    for cat in CATEGORIES + ('total',):
        row = result['totals'].get(cat)
        if not row:
            continue
        cells = []
        for part in ('required', 'optional', 'all'):
            r = row[part]
            n = sum(r.values())
            cells.append('%d/%d%s' % (
                r['ok'], n, ' (%d nr)' % r['not_run'] if r['not_run'] else '')
                if n else '-')
        print('%-10s %15s %15s %15s' % (cat, *cells))
    for note in result['notes']:
        print('note:', note)
    if failures:
        for f in result['files']:
            bad = [t for t in f['tests'] if t['result'] != 'OK']
            if not bad:
                continue
            print('\n%s  (%d of %d not OK)' % (
                f['file'], len(bad), len(f['tests'])))
            groups = collections.OrderedDict()
            for t in bad:
                groups.setdefault((t['result'], t['reason']), []).append(t)
            for (res, reason), tests in groups.items():
                print('  %s %s' % (res, reason))
                for t in tests:
                    print('     -', t['description'],
                          '[required]' if t['required'] else '')


def load(path):
    with open(path) as fh:
        return json.load(fh)


def merge(args):
    parts = [load(p) for p in args.inputs]
    if len({p['version'] for p in parts}) != 1:
        raise SetupError('results of different versions')
    files = {}
    for part in parts:      # later results replace earlier ones, by test
        for f in part['files']:
            have = files.setdefault(f['file'], dict(f, tests=[]))
            tests = {t['index']: t for t in have['tests']}
            tests.update({t['index']: t for t in f['tests']})
            have['tests'] = [tests[i] for i in sorted(tests)]
    result = dict(parts[0])
    result['files'] = [files[k] for k in sorted(files)]
    result['elapsed_s'] = round(sum(p['elapsed_s'] for p in parts), 1)
    result['notes'] = [n for p in parts for n in p['notes']]
    result['totals'] = tally(result['files'])
    result['complete'] = not result['totals']['total']['all']['not_run']
    if args.out:
        with open(args.out, 'w') as fh:
            json.dump(result, fh, indent=1)
            fh.write('\n')
    print_report(result)
    return 0


def diff(args):
    old, new = [
        {(f['file'], t['index']): (t, f) for f in load(p)['files']
         for t in f['tests']} for p in (args.old, args.new)]
    worse = 0
    for key in sorted(set(old) | set(new)):
        a = old[key][0]['result'] if key in old else 'absent'
        b = new[key][0]['result'] if key in new else 'absent'
        if a == b:
            continue
        worse += a == 'OK'
        test, f = (new.get(key) or old.get(key))
        print('%-7s -> %-7s %s%s: %s%s' % (
            a, b, f['file'], ' [required]' if test['required'] else '',
            test['description'],
            '\n      ' + test['reason'] if test.get('reason') else ''))
    print('%d no longer OK' % worse)
    return 1 if worse else 0


def list_tests(args):
    root = args.patterns or pattern_root(args.version)
    files = load_patterns(args.version, root)
    totals = tally(files)
    for f in files:
        print('%-10s %3d tests, %2d required%s  %s' % (
            f['category'], len(f['tests']),
            sum(t['required'] for t in f['tests']),
            ', timed' if any(t['timed'] for t in f['tests']) else '       ',
            f['file']))
    for cat in CATEGORIES + ('total',):
        if cat in totals:
            print(cat, {p: totals[cat][p]['not_run']
                        for p in ('required', 'optional', 'all')})
    return 0
