// SPDX-License-Identifier: Apache-2.0
// The pages in a real browser against a real server. Skips, with a note, what is not there:
// build/release/vigie or build/debug/vigie, and Debian's /usr/bin/chromium.
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const CHROMIUM = "/usr/bin/chromium";
const builds = ["release", "debug"].map((b) => new URL(`../../build/${b}/vigie`, import.meta.url).pathname).filter((p) => existsSync(p));
// The newest: an old one would serve old pages.
const vigie = builds.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0];
const browserHere = existsSync(CHROMIUM);
if (!vigie) console.log("note: no vigie in build/release or build/debug: its pages are not tested");
else if (!browserHere) console.log(`note: no ${CHROMIUM} (apt-get install chromium): pages are not opened`);

const CONFIG = `
global: {scrape_interval: 1s}
scrape_configs:
- job_name: self
  static_configs: [{targets: ['SELF'], labels: {env: test}}]
- job_name: gone
  static_configs: [{targets: ['127.0.0.1:1']}]
  metric_relabel_configs: []
- job_name: dropped
  static_configs: [{targets: ['127.0.0.1:2'], labels: {a: b}}]
  relabel_configs: [{source_labels: [a], regex: b, action: drop}]
`;

interface Server {
  url: string;
  stop: () => Promise<void>;
}

/** Starts vigie on a free port; `SELF` of the configuration becomes its own address by a reload. */
async function start(flags: string[]): Promise<Server> {
  const dir = mkdtempSync(join(tmpdir(), "vigie-ui-"));
  const config = join(dir, "c.yml");
  writeFileSync(config, "global: {}\n");
  const child: ChildProcess = spawn(vigie!, [`--config.file=${config}`, "--web.listen-address=127.0.0.1:0", `--storage.tsdb.path=${join(dir, "data")}`, "--web.enable-lifecycle", ...flags], { cwd: dir });
  let log = "";
  const port = await new Promise<string>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      log += chunk.toString();
      const m = /msg=listening\b.*\bport=(\d+)/.exec(log);
      if (m) resolve(m[1]!);
    };
    child.stdout!.on("data", read);
    child.stderr!.on("data", read);
    child.on("exit", (code) => reject(new Error(`vigie ended with ${code}:\n${log}`)));
  });
  writeFileSync(config, CONFIG.replace("SELF", `127.0.0.1:${port}`));
  const prefix = flags.map((f) => /^--web.route-prefix=(.*)$/.exec(f)?.[1]).find(Boolean) ?? "";
  const url = `http://127.0.0.1:${port}${prefix}`;
  await fetch(`${url}/-/reload`, { method: "POST" });
  return {
    url,
    stop: () => new Promise((done) => {
      child.removeAllListeners("exit");
      child.on("exit", () => {
        rmSync(dir, { recursive: true, force: true });
        done();
      });
      child.kill("SIGTERM");
    }),
  };
}

describe.skipIf(!vigie)("the server", () => {
  let server: Server;
  beforeAll(async () => {
    server = await start(["--web.route-prefix=/obs"]);
  });
  afterAll(() => server?.stop());

  test("puts its prefix into the page and keeps hashed files for ever, compressed", async () => {
    const page = await fetch(`${server.url}/targets`);
    const html = await page.text();
    expect(page.headers.get("content-security-policy")).toContain("default-src 'self'");
    expect(page.headers.get("cache-control")).toBe("no-cache");
    expect(html).toContain('<base href="/obs/"');
    const script = /src="\.\/(assets\/[^"]+\.js)"/.exec(html)?.[1];
    expect(script).toBeTruthy();
    for (const [accept, coding] of [["gzip", "gzip"], ["identity", null], ["gzip;q=0", null]] as const) {
      const asset = await fetch(`${server.url}/${script}`, { headers: { "Accept-Encoding": accept } });
      expect(asset.status).toBe(200);
      expect(asset.headers.get("cache-control")).toContain("immutable");
      expect(asset.headers.get("content-type")).toContain("javascript");
      expect(asset.headers.get("content-encoding")).toBe(coding);
      expect(asset.headers.get("vary")).toBe("Accept-Encoding");
      expect((await asset.text()).length).toBeGreaterThan(1000);
    }
  });

  test("answers 404 where there is nothing", async () => {
    for (const path of ["/assets/none-1234.js", "/no-such-page", "/manifest.json"]) {
      const answer = await fetch(server.url + path, { headers: { Accept: "application/json" } });
      expect([path, answer.status]).toEqual([path, 404]);
      expect(await answer.text()).not.toContain("<html");
    }
  });

  test("sends old addresses to the new ones, parameters untouched", async () => {
    const answer = await fetch(`${server.url}/graph?g0.expr=a%2Bb&x=1`, { redirect: "manual" });
    expect(answer.status).toBe(302);
    expect(answer.headers.get("location")).toBe("/obs/query?g0.expr=a%2Bb&x=1");
  });
});

describe.skipIf(!vigie || !browserHere)("the pages", () => {
  let server: Server;
  let browser: Browser;
  const complaints: string[] = [];

  beforeAll(async () => {
    server = await start([]);
    browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"],
    });
  });
  afterAll(async () => {
    await browser?.close();
    await server?.stop();
  });

  async function open(path: string, options: { width?: number; dark?: boolean; locale?: string } = {}): Promise<Page> {
    const context = await browser.newContext({ viewport: { width: options.width ?? 1280, height: 800 }, colorScheme: options.dark ? "dark" : "light", locale: options.locale ?? "en-GB" });
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    page.on("pageerror", (e) => complaints.push(`${path}: ${e.message}`));
    page.on("console", (m) => m.type() === "error" && !/status of 4\d\d/.test(m.text()) && complaints.push(`${path}: ${m.text()}`));
    await page.goto(server.url + path);
    return page;
  }

  test("an old link shows its table, and typing completes and runs", async () => {
    const page = await open("/graph?g0.expr=up&g0.tab=1");
    await page.waitForURL(/\/query\?/);
    const row = page.locator("tbody tr", { hasText: 'job="self"' });
    // The first scrape is at most a second away: ask until it is there.
    await expect.poll(async () => {
      await page.getByRole("button", { name: "Run", exact: true }).click();
      return row.count();
    }, { timeout: 20_000, interval: 500 }).toBe(1);
    expect(await row.locator("td").nth(1).innerText()).toBe("1");

    const editor = page.locator(".cm-content");
    await editor.click();
    await page.keyboard.press("Control+A");
    await page.keyboard.type("sum(scrape_dura");
    await page.locator(".cm-tooltip-autocomplete li", { hasText: "scrape_duration_seconds" }).first().waitFor();
    await page.waitForTimeout(150); // the list takes keys only after its interaction delay
    await page.keyboard.press("Enter");
    await expect.poll(() => editor.innerText()).toContain("sum(scrape_duration_seconds)");
    await page.keyboard.press("Enter");
    await page.waitForURL(/scrape_duration_seconds/);
    await page.locator("td", { hasText: "{}" }).waitFor();
    await page.goBack();
    await expect.poll(() => editor.innerText()).toBe("up");
    await page.context().close();
  });

  test("a wrong query shows its error at its place; the graph tab draws", async () => {
    const page = await open(`/query?${new URLSearchParams({ "g0.expr": "sum(up) by (job", "g0.tab": "table" })}`);
    const alert = page.getByRole("alert");
    await alert.waitFor();
    expect(await alert.innerText()).toContain("1:16: parse error");
    expect(await alert.locator(".mark").count()).toBe(1);

    await page.goto(`${server.url}/query?${new URLSearchParams({ "g0.expr": "up", "g0.tab": "graph", "g0.range_input": "1m" })}`);
    await page.locator("canvas").waitFor();
    await page.getByRole("button", { name: /job="self"/ }).waitFor();
    expect(await page.getByRole("img", { name: /^Chart of \d series/ }).count()).toBe(1);
    await page.getByRole("button", { name: "Stacked" }).click();
    await page.waitForURL(/display_mode=stacked/);
    await page.context().close();
  });

  test("targets are grouped, filtered and told apart", async () => {
    const page = await open("/targets");
    await page.getByText("0/1 up").waitFor({ timeout: 20_000 });
    await page.getByText("connection refused").waitFor({ timeout: 20_000 });
    await page.getByRole("searchbox").fill('job="gone"');
    await expect.poll(() => page.locator("tbody tr").count()).toBe(1);
    await page.waitForURL(/search=/);
    await page.goto(`${server.url}/service-discovery?state=dropped`);
    await page.getByText("Dropped by relabelling").waitFor();
    await page.context().close();
  });

  test("keys: search, help, go to", async () => {
    const page = await open("/status");
    await page.getByText("Working directory").waitFor();
    await page.keyboard.press("Control+K");
    await page.getByRole("combobox").fill("flags");
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/flags$/);
    await page.getByText("--web.listen-address").waitFor();
    await page.keyboard.press("?");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await expect.poll(() => page.getByRole("dialog").count()).toBe(0);
    await page.keyboard.press("g");
    await page.keyboard.press("t");
    await page.waitForURL(/\/targets$/);
    await page.context().close();
  });

  test("every page fits a phone, in both themes and languages, without a complaint", async () => {
    const titles: [string, string][] = [["query", "Graphe"], ["alerts", "Alertes"], ["targets", "Cibles"], ["rules", "Règles"], ["service-discovery", "Découverte"], ["status", "Exécution et version"], ["tsdb-status", "État de la TSDB"], ["flags", "Options de lancement"], ["config", "Configuration"]];
    const page = await open("/query", { width: 390, dark: true, locale: "fr-FR" });
    for (const [path, title] of titles) {
      await page.goto(`${server.url}/${path}`);
      await page.getByRole("heading", { level: 1, name: title, exact: true }).waitFor();
      await page.waitForLoadState("networkidle");
      expect([path, await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)]).toEqual([path, 0]);
    }
    expect(await page.evaluate(() => document.documentElement.dataset["theme"])).toBe("dark");
    await page.context().close();
    expect(complaints).toEqual([]);
  });
});
