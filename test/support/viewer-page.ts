import { createServer } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { chromium, type Page } from 'playwright-core';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A log viewer on a page with the policy that it has in VS Code. */
export interface ViewerPage extends AsyncDisposable {
  readonly page: Page;
  /** What the page, or its policy, found wrong. */
  readonly errors: readonly string[];
  /** Runs an expression in the page. */
  run<T = unknown>(expression: string): Promise<T>;
}

export interface ViewerScript {
  readonly entry: string;
  /** Runs before it. */
  readonly before?: string;
}

/** Shows a made-up log; `page` is there what it offers. */
const MADE_UP: ViewerScript = { entry: 'test/log-viewer/page.ts' };

export async function openViewerPage({ entry, before = '' }: ViewerScript = MADE_UP): Promise<ViewerPage> {
  const script = before + (await bundle(entry));
  const server = createServer((request, response) => {
    const isScript = request.url === '/page.js';
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html; charset=utf-8');
    response.setHeader('content-security-policy', "default-src 'none'; script-src 'nonce-x'; style-src 'nonce-x'");
    response.end(isScript ? script : HTML);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const profile = await mkdtemp('/tmp/sci-br-');
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: '/usr/bin/chromium',
    headless: true,
    viewport: { width: 1000, height: 600 },
    env: { ...process.env, HOME: profile },
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--enable-precise-memory-info',
      '--js-flags=--expose-gc',
    ],
  });
  const page = browser.pages()[0] ?? (await browser.newPage());
  const errors: string[] = [];
  page.on('console', message => {
    if (message.type() === 'error' && !/favicon/.test(message.text() + message.location().url))
      errors.push(message.text());
  });
  page.on('pageerror', error => errors.push(String(error)));
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  await page.locator('log-viewer').waitFor();
  return {
    page,
    errors,
    run: expression => page.evaluate(expression),
    [Symbol.asyncDispose]: async () => {
      await browser.close();
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

const HTML = `<!DOCTYPE html><meta charset="utf-8"><style nonce="x">html,body{height:100%;margin:0}</style>
<body><script nonce="x" src="/page.js"></script>`;

async function bundle(entry: string): Promise<string> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    write: false,
    minify: true,
    platform: 'browser',
    target: 'chrome130',
    format: 'iife',
    conditions: ['production'],
    logLevel: 'warning',
  });
  return outputFiles[0]!.text;
}
