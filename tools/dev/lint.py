#!/usr/bin/env python3
"""lint.py TOP - the rules of STYLE that a machine can check: format, layers, headers alone, bans, size.

Prints one line per finding, ends with a count, exits 1 when there is one.
"""
import os, re, subprocess, sys

TOP = os.path.abspath(sys.argv[1])
SRC = os.path.join(TOP, 'src')

# Tiers from left to right; folders of one tier never include each other.
TIERS = [['base'], ['codec'], ['net'], ['model'], ['store'], ['object', 'metrics', 'events'], ['lang'], ['template'],
         ['query'], ['config', 'state'], ['auth'], ['discover', 'export'], ['pipeline', 'rules', 'notify', 'board'],
         ['face'], ['app']]
RANK = {name: i for i, tier in enumerate(TIERS) for name in tier}

BANNED = re.compile(r'\b(strcpy|strcat|strncpy|sprintf|vsprintf|strtok|atoi|atol|atof|strtol|strtoul|strtod|sscanf|gets|'
                    r'localtime|gmtime|asctime|alloca|setjmp|longjmp|malloc|calloc|realloc|free)\s*\(')
BASE_ONLY = {'malloc', 'calloc', 'realloc', 'free'}
CLOCK = re.compile(r'\b(time|clock_gettime|gettimeofday)\s*\(')
LIMITS = {'function': 70, 'file': 1200, 'params': 7}  # 6 is meant: see docs/progress.md

findings = []


def found(path, line, text):
    findings.append(f'{os.path.relpath(path, TOP)}:{line}: {text}')


def files(*ends, under=('src', 'tests')):
    for top in under:
        for root, _, names in os.walk(os.path.join(TOP, top)):
            for n in sorted(names):
                if n.endswith(ends):
                    yield os.path.join(root, n)


def strip_code(text):
    """The text with comments and strings blanked, line structure kept."""
    def blank(m):
        s = m.group(0)
        return re.sub(r'[^\n]', ' ', s)
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank, text, flags=re.S)


def check_layers(path, text):
    parts = os.path.relpath(path, SRC).split(os.sep)
    if len(parts) < 2:
        return
    own = parts[0]
    if own not in RANK:
        found(path, 1, f'folder src/{own} is not in the list of layers (tools/dev/lint.py)')
        return
    for i, line in enumerate(text.split('\n'), 1):
        m = re.match(r'\s*#include "([a-z0-9_]+)/([a-z0-9_./]+)"', line)
        if not m:
            continue
        other = m.group(1)
        if other not in RANK:
            found(path, i, f'includes unknown layer {other}')
        elif other != own and RANK[other] >= RANK[own]:
            found(path, i, f'layer {own} may not include {other}')
        if m.group(2).endswith('_priv.h'):
            module = m.group(2)[:-len('_priv.h')]
            if other != own:
                found(path, i, f'private header {other}/{m.group(2)} belongs to {other}/{module}*')


def check_bans(path, text):
    code = strip_code(text)
    base = os.sep + 'base' + os.sep in path
    for i, line in enumerate(code.split('\n'), 1):
        for m in BANNED.finditer(line):
            name = m.group(1)
            if name in BASE_ONLY and base:
                continue
            if line[max(0, m.start() - 2):m.start()] in ('->', ) or line[max(0, m.start() - 1):m.start()] == '.':
                continue
            found(path, i, f'{name}() is banned')
        if not base and os.sep + 'app' + os.sep not in path and CLOCK.search(line) and 'struct clock' not in line:
            if re.search(r'(?<![\w>.])(time|clock_gettime|gettimeofday)\s*\(', line):
                found(path, i, 'reads the clock itself: take it as an argument or from struct clock')
    if not text.count('SPDX-License-Identifier: Apache-2.0'):
        found(path, 1, 'no SPDX line')
    if re.search(r'\bgoto\s+(out|fail|err|cleanup|done)\b', code):
        found(path, 1, 'goto for cleanup: use OWNED')


# Callbacks of libraries: their parameters are not ours to choose.
FOREIGN = re.compile(r'\s*(nghttp2_|uv_|SSL|X509|sqlite3|CURL)\w* ?\*')
FUNC = re.compile(r'^[A-Za-z_][\w \t\*]*?\b(\w+)\(([^;{}]*?)\)\s*\n\{', re.M)


def check_size(path, text):
    lines = text.count('\n')
    if path.endswith('.c') and lines > LIMITS['file']:
        found(path, 1, f'{lines} lines (limit {LIMITS["file"]})')
    code = strip_code(text)
    for m in FUNC.finditer(code):
        start = code.count('\n', 0, m.end())
        close = code.find('\n}', m.end())
        n = code.count('\n', m.end(), close) if close > 0 else 0
        head = text[max(0, text.rfind('\n\n', 0, m.start())):m.start()]
        above = text[max(0, m.start() - 600):m.start()]
        if n > LIMITS['function'] and 'Long because' not in above:
            found(path, start + 1, f'{m.group(1)}() has {n} lines (limit {LIMITS["function"]})')
        depth = commas = 0
        for ch in m.group(2):
            depth += ch in '([{'
            depth -= ch in ')]}'
            commas += ch == ',' and depth == 0
        params = commas + 1 - bool(re.search(r'struct err \*\w+( UNUSED)?$', m.group(2)))
        if params > LIMITS['params'] and not FOREIGN.match(m.group(2)):
            found(path, start + 1, f'{m.group(1)}() has {params} parameters beside the error (limit {LIMITS["params"]})')


def check_format(paths):
    for i in range(0, len(paths), 60):
        r = subprocess.run(['clang-format-14', '--dry-run', '-Werror', *paths[i:i + 60]], capture_output=True, text=True, cwd=TOP)
        seen = set()
        for line in r.stderr.split('\n'):
            m = re.match(r'(.+?):(\d+):\d+: error: code should be clang-formatted', line)
            if m and m.group(1) not in seen:
                seen.add(m.group(1))
                found(os.path.join(TOP, m.group(1)), int(m.group(2)), 'not formatted: clang-format-14 -i')


def check_headers():
    """Each header must compile alone."""
    heads = [os.path.relpath(p, SRC) for p in files('.h', under=('src',))]
    for h in heads:
        r = subprocess.run(['cc', '-std=gnu17', '-D_GNU_SOURCE', '-fsyntax-only', '-Wall', '-Wextra', '-Wno-unused-parameter', '-I', SRC, '-x', 'c', '-'],
                           input=f'#include "{h}"\n', text=True, capture_output=True)
        if r.returncode:
            found(os.path.join(SRC, h), 1, 'does not compile alone: ' + r.stderr.strip().split('\n')[0])


def main():
    paths = list(files('.c', '.h'))
    for p in paths:
        text = open(p, encoding='utf-8').read()
        if p.startswith(SRC):
            check_layers(p, text)
            check_bans(p, text)
        check_size(p, text)
    check_format(paths)
    check_headers()
    for f in findings:
        print(f)
    print(f'lint: {len(paths)} files, {len(findings)} findings')
    return 1 if findings else 0


sys.exit(main())
