"""report.py - the benchmark's figures as a table for the terminal and as the page for docs/."""
# SPDX-License-Identifier: Apache-2.0

KEYS = ('vigie', 'prometheus', 'victoria-metrics')


def figure(v):
    if v is None:
        return '–'
    if v >= 100:
        return f'{v:,.0f}'
    return f'{v:.1f}' if v >= 10 else f'{v:.2f}' if v >= 0.1 else f'{v:.3f}'


def ratio(row, peer):
    """vigie's figure over the peer's, however the row says it; None when either is missing."""
    if peer in (row.get('ratios') or {}):
        return row['ratios'][peer]
    v = row['values']
    return v['vigie'] / v[peer] if v.get('vigie') is not None and v.get(peer) else None


def show_ratio(r):
    if r is None:
        return '–'
    return f'1/{1 / r:.1f}' if 0 < r < 0.5 else f'{r:.2f}'


def goal(row):
    """(text, reached: True, False, or None without a goal or without the figures)."""
    texts, verdicts = [], []
    for peer, most in (row.get('goals') or {}).items():
        r = ratio(row, peer)
        texts.append(f'≤ {"1/" + format(1 / most, "g") if most < 0.5 or most == 0.5 else format(most, "g")} of {peer}')
        if r is not None:
            verdicts.append(r <= most)
    own = row['values'].get('vigie')
    if row.get('limit'):
        texts.append(f'< {row["limit"]} {row["unit"]}')
        if own is not None:
            verdicts.append(own < row['limit'])
    if row.get('floor'):
        texts.append(f'≥ {row["floor"]} {row["unit"]}')
        if own is not None:
            verdicts.append(own >= row['floor'])
    return '; '.join(texts), all(verdicts) if verdicts else None


def cells(row):
    quoted = row.get('quoted') or []
    text, reached = goal(row)
    values = [figure(row['values'].get(k)) + (' (quoted)' if k in quoted else '') for k in KEYS]
    return [row['what'], row['unit'], *values, show_ratio(ratio(row, KEYS[1])), show_ratio(ratio(row, KEYS[2])), text,
            {True: 'yes', False: 'NO', None: ''}[reached]]


HEAD = ['what', 'unit', 'vigie', 'prometheus', 'victoria-metrics', 'v/prom', 'v/vm', 'goal', 'reached']
QUERY_HEAD = ['shape', 'vigie', 'prometheus', 'victoria-metrics', 'v/prom', 'v/vm', 'vigie = prometheus', 'vm = prometheus']


def query_cells(e):
    def over(peer):
        a, b = e['cpu_ms'].get('vigie'), e['cpu_ms'].get(peer)
        return show_ratio(a / b) if a and b else '–'

    def same(key):
        if key not in e['same']:
            return ''
        what, share = e['same'][key]
        return 'equal' if what == 'equal' else f'{share:.0%}'

    return [e['name'], *(f'{figure(e["cpu_ms"].get(k))} ({figure(e["wall_ms"].get(k))})' for k in KEYS),
            over(KEYS[1]), over(KEYS[2]), same(KEYS[0]), same(KEYS[2])]


def columns(rows):
    width = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    return '\n'.join('  '.join(c.ljust(w) if i < 1 else c.rjust(w) for i, (c, w) in enumerate(zip(r, width))).rstrip() for r in rows)


def machine_line(result):
    m = result['machine']
    return f'{m["cores"]} × {m["cpu"]}, {m["memory_gb"]} GB, Linux {m["kernel"]}, {m["system"]}'


def versions_line(result):
    return ', '.join(f'{k} {v}' for k, v in result['versions'].items())


def missed(result):
    return [r for r in result['rows'] if goal(r)[1] is False]


def text(result):
    out = [f'{result["date"]}, {machine_line(result)}, load {result["load"]:.1f} at the start; {versions_line(result)}', '']
    if result['rows']:
        out.append(columns([HEAD] + [cells(r) for r in result['rows']]))
    queries = result['detail'].get('queries')
    if queries:
        out += ['', 'CPU ms per query (wall ms):', columns([QUERY_HEAD] + [query_cells(e) for e in queries])]
    out += [''] + ['note: ' + n for n in result['notes']]
    bad = missed(result)
    out.append('goals missed: ' + ('; '.join(r['what'] for r in bad) if bad else 'none'))
    out.append(f'{result["seconds"]} s{", quick: sizes and figures are smaller than those of a full run" if result["quick"] else ""}')
    return '\n'.join(out)


def md_table(head, rows):
    lines = ['| ' + ' | '.join(head) + ' |', '|' + '---|' + '---:|' * (len(head) - 1)]
    return '\n'.join(lines + ['| ' + ' | '.join(c.replace('|', '\\|') for c in r) + ' |' for r in rows])


def markdown(result):
    d = result['detail'].get('data')
    out = ['# Performance', '',
           'Written by `./test bench --markdown docs/performance.md`, which gives the same work to vigie and to its peers in one run on one',
           'machine. Trust the ratios more than the absolute figures: the machine is a small virtual one, and others may use its host.', '',
           f'- Date: {result["date"]}. Machine: {machine_line(result)}. Load average at the start: {result["load"]:.1f}.',
           f'- Versions: {versions_line(result)}. The peers are those that Debian ships, not their newest releases.',
           f'- {"Quick run: sizes are reduced." if result["quick"] else "Full run."} It took {result["seconds"]} s.', '',
           '## What was asked, and what came out', '',
           md_table(HEAD, [cells(r) for r in result['rows']]), '']
    out += [f'- **{r["what"]}**: {r["note"]}' for r in result['rows'] if r.get('note')]
    out += ['', '## Misses', '']
    bad = missed(result)
    out += [f'- {r["what"]}: the goal was {goal(r)[0]}; measured {figure(r["values"].get("vigie"))} {r["unit"]} '
            f'({show_ratio(ratio(r, KEYS[1]))} of prometheus, {show_ratio(ratio(r, KEYS[2]))} of victoria-metrics).' for r in bad] or ['None of the goals above.']
    out += [f'- {n}' for n in result['notes']]
    queries = result['detail'].get('queries')
    if queries:
        out += ['', '## Queries', '', 'Server CPU per query in ms (wall time in ms), caches of answers switched off, the same data in all.',
                'The last columns: whether the answer equals that of Prometheus to 1e-9, else the share of points that do.', '',
                md_table(QUERY_HEAD, [query_cells(e) for e in queries]), '',
                *(f'- {e["name"]}: `{e["query"] or "/api/v1/labels"}`' for e in queries)]
    if d:
        out += ['', '## The data', '',
                f'Disk, queries and restart use {d["samples"]:,} samples of {d["series"]:,} series: a cluster of {d["nodes"]} nodes as its scrape jobs see it,',
                f'{d["steps"]} samples of each series, 15 s apart. Per node a node_exporter and a cAdvisor, HTTP histograms and Go runtime metrics of a third of the',
                'pods, one kube-state-metrics, two API servers; constants, idle counters and buckets, counters of many rates with bursts, page-sized',
                'gauges, float sums, nanoseconds, clocks. `tests/bench/workload.py` makes it, seeded: alike in every run.']
    return '\n'.join(out) + '\n'
