#!/usr/bin/env python3
"""Replays recorded command lines of promtool against vigie called by that name.

usage: cli_e2e.py --vigie PATH [--only REGEXP] [-v]
The records are in $VIGIE_CORPUS/api-golden/cli. Those that ask a server get one of our own with the
recorded samples. Compared are exit code, standard output and standard error.
Last line: "N passed, N failed". Standard library only.
"""
# SPDX-License-Identifier: Apache-2.0
import argparse
import difflib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

# What vigie does not do, and why. Everything else must be equal.
NOT_DONE = [
    (r'^promtool/backfill/', 'TSDB blocks are no format of ours'),
]


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Server:
    """vigie on a free port with the samples of the records; stop() ends it."""

    def __init__(self, vigie, golden, loader, folder):
        setup = golden / 'prometheus' / 'setup'
        flags = (setup / 'fixed.flags').read_text().split()
        flags = [f.replace('fixed.yml', str(setup / 'fixed.yml')) for f in flags]
        port = free_port()
        self.base = f'http://127.0.0.1:{port}'
        self.log = open(folder / 'server.log', 'w')
        self.process = subprocess.Popen(
            [vigie, *flags, f'--web.listen-address=127.0.0.1:{port}', f'--storage.tsdb.path={folder}/data'],
            stdout=self.log, stderr=self.log)
        try:
            self.wait()
            subprocess.run([sys.executable, loader, '--load', setup / 'samples.jsonl', '--only', '^$',
                            golden / 'prometheus' / 'fixed.jsonl', self.base],
                           check=True, stdout=self.log, stderr=self.log, timeout=120)
        except BaseException:
            self.stop()
            raise

    def wait(self):
        for _ in range(300):
            if self.process.poll() is not None:
                raise RuntimeError('the server ended at its start')
            try:
                with urllib.request.urlopen(self.base + '/-/ready', timeout=2) as r:
                    if r.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(0.1)
        raise RuntimeError('the server does not become ready')

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def fill(text, base):
    return text.replace('{BASE}', base or '')


def run(record, program, cwd, base):
    if 'before' in record:
        subprocess.run(record['before'], shell=True, cwd=cwd, check=False)
    argv = [program] + [fill(a, base) for a in record['argv'][1:]]
    p = subprocess.run(argv, cwd=cwd, input=record.get('stdin', '').encode(), capture_output=True, timeout=120,
                       check=False)
    return {'exit': p.returncode, 'stdout': p.stdout.decode('utf-8', 'replace'),
            'stderr': p.stderr.decode('utf-8', 'replace')}


def compare(record, got, base):
    out = []
    for key in ('exit', 'stdout', 'stderr'):
        want = record.get(key, '')
        if key in record.get('volatile', []) or want == got[key]:
            continue
        if key == 'exit':
            out.append(f'  exit {got[key]}, want {want}')
            continue
        want = fill(want, base)
        if want == got[key]:
            continue
        out.append(f'  {key}:')
        out += ['    ' + line for line in difflib.ndiff(want.splitlines(), got[key].splitlines())
                if not line.startswith('?')]
    return out


# Our own manner: command line, exit code, and what standard error and output must hold.
OWN = [
    (['check', 'config', 'prom_unknown_key.yml'], 1, 'prom_unknown_key.yml:1:32: field foo not found'),
    (['check', 'config', 'prom_ok.yml'], 0, 'prom_ok.yml: ok, 1 scrape jobs, 1 rule files'),
    (['check', 'rules', 'rules_bad_expr.yml'], 1, 'rules_bad_expr.yml:5:30: group "g", rule 1, "a:b": unclosed'),
    (['check', 'rules', 'rules_unknown.yml'], 1, 'did you mean "for"?'),
    (['check', 'rules', '--lint-fatal', 'rules_dup_rule.yml'], 3, 'rules_dup_rule.yml:6:9: lint: '),
    (['check', 'web-config', 'web_bad.yml'], 1, 'web_bad.yml:1:20: missing one of key or key_file'),
    (['check', 'confgi'], 2, 'did you mean "config"?'),
    (['check', 'config', '--lintt', 'x'], 2, 'did you mean --lint?'),
    (['check', '--help'], 0, 'vigie check config FILE...'),
    (['query', '--help'], 0, 'vigie query instant EXPR'),
    (['query', 'instant', 'up', '--server=http://127.0.0.1:1'], 1, 'connection refused'),
    (['promtool', 'check', 'rules', 'rules_ok.yml'], 0, '  SUCCESS: 2 rules found'),
    (['test', 'rules', 'test_ok.yml'], 0, 'SUCCESS'),
    (['promql', 'format', 'sum(up)by(job)'], 0, 'sum by (job) (up)'),
]


def check_own(vigie, cwd):
    for argv, code, part in OWN:
        p = subprocess.run([vigie, *argv], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, timeout=120,
                           check=False)
        text = (p.stdout + p.stderr).decode('utf-8', 'replace')
        bad = [] if p.returncode == code and part in text else [f'  exit {p.returncode}: {text}']
        yield 'vigie ' + ' '.join(argv), bad


def check_unit_tests(program, folder):
    """Exit codes of the unit-test files of promtool."""
    for case in json.load(open(folder / 'unit_test_results.json'))['cases']:
        argv = [program, 'test', 'rules'] + [f'--run={r}' for r in case.get('run', [])]
        if case.get('ignore_unknown_fields'):
            argv.append('--ignore-unknown-fields')
        p = subprocess.run(argv + [case['file']], cwd=folder, capture_output=True, timeout=300, check=False)
        bad = [] if p.returncode == case['exit'] else [f'  exit {p.returncode}: {p.stderr.decode()}']
        yield f"test rules {case['file']} {case.get('run', '')}", bad


def not_done(record_id):
    return next((why for pattern, why in NOT_DONE if re.search(pattern, record_id)), None)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--vigie', required=True)
    ap.add_argument('--only', default='')
    ap.add_argument('-v', action='store_true')
    args = ap.parse_args()
    top = pathlib.Path(__file__).resolve().parents[2]
    corpus = pathlib.Path(os.environ.get('VIGIE_CORPUS', top.parent / 'shared' / 'corpus')).resolve()
    golden = corpus / 'api-golden'
    if not (golden / 'cli' / 'commands.jsonl').exists():
        print('skipped: no corpus (set VIGIE_CORPUS)')
        print('0 passed, 0 failed')
        return 0
    records = [json.loads(line) for line in open(golden / 'cli' / 'commands.jsonl')]
    records = [r for r in records if r['argv'][0] == 'promtool' and re.search(args.only, r['id'])]
    loader = corpus.parent / 'tools' / 'replay_golden.py'
    passed = failed = 0
    skipped = {}
    server = None
    with tempfile.TemporaryDirectory(prefix='vigie-cli-') as tmp:
        tmp = pathlib.Path(tmp)
        (tmp / 'bin').mkdir()
        program = tmp / 'bin' / 'promtool'
        program.symlink_to(pathlib.Path(args.vigie).resolve())
        shutil.copytree(golden / 'cli' / 'files', tmp / 'files', copy_function=shutil.copyfile)
        os.chmod(tmp / 'files', 0o755)
        try:
            for r in records:
                why = not_done(r['id'])
                if not why and r.get('needs') and not loader.exists():
                    why = 'nothing to load the samples with'
                if why:
                    skipped[why] = skipped.get(why, 0) + 1
                    continue
                if r.get('needs') and not server:
                    server = Server(args.vigie, golden, loader, tmp)
                base = server.base if server else None
                problems = compare(r, run(r, program, tmp / 'files', base), base)
                if problems:
                    failed += 1
                    print('FAIL', r['id'], *problems, sep='\n' if len(problems) > 1 else ' ')
                else:
                    passed += 1
                    if args.v:
                        print('ok', r['id'])
            vigie = pathlib.Path(args.vigie).resolve()
            more = list(check_own(vigie, tmp / 'files')) if not args.only else []
            if not args.only:
                more += check_unit_tests(program, corpus / 'config' / 'promtool')
            for name, bad in more:
                passed += not bad
                failed += bool(bad)
                if bad or args.v:
                    print('FAIL' if bad else 'ok', name, *bad)
        finally:
            if server:
                server.stop()
    for why, n in sorted(skipped.items()):
        print(f'skipped {n}: {why}')
    print(f'{passed} passed, {failed} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
