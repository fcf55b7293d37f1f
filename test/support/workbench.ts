import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Frame, type FrameLocator, type Locator, type Page } from 'playwright-core';
import { eventually } from './test-tasks.ts';

/** An action that takes longer than this has something in its way. Milliseconds. */
const ACTION_MS = 120_000;
/** A list that has not opened within this was closed again. */
const ANSWER_MS = 30_000;
/** A list that has stood still for so long is whole. */
const SETTLED_MS = 500;
/** Starting VS Code on a busy machine. */
const START_MS = 240_000;

export interface TreeRow {
  readonly label: string;
  readonly description: string;
  readonly spoken: string;
}

interface HostTests {
  /** The folder of the extension. */
  readonly extension: string;
  readonly suite: string;
}

/** A window of VS Code in a browser that reaches nothing but this machine. */
export class Workbench implements AsyncDisposable {
  readonly page: Page;
  /** What the page asked for elsewhere: nothing, if all is well. */
  readonly strangers = new Set<string>();
  /** What the page said was wrong. */
  readonly errors: string[] = [];
  readonly #context: BrowserContext;
  readonly #profile: string;
  readonly #testsEnded = Promise.withResolvers<number>();

  private constructor(context: BrowserContext, page: Page, profile: string) {
    this.#context = context;
    this.page = page;
    this.#profile = profile;
    context.setDefaultTimeout(ACTION_MS);
    context.on('request', request => {
      const { protocol, hostname, href } = new URL(request.url());
      if (/^https?:$/.test(protocol) && hostname !== '127.0.0.1') this.strangers.add(href.slice(0, 100));
    });
    page.on('console', message => {
      if (message.type() === 'error') this.errors.push(message.text().slice(0, 500));
    });
  }

  static async open(url: string): Promise<Workbench> {
    const workbench = await Workbench.#start();
    await workbench.page.goto(url);
    await workbench.ready();
    return workbench;
  }

  /** A window whose extension host loads an extension from its folder, and then a file with tests. */
  static async openForTests(url: string, { extension, suite }: HostTests): Promise<Workbench> {
    const workbench = await Workbench.#start();
    const { page } = workbench;
    const authority = new URL(url).host;
    const place = (path: string) => ({ scheme: 'vscode-remote', authority, path });
    const options = { extensions: [place(extension)], extensionTestsPath: place(suite) };
    await page.exposeFunction('codeAutomationLog', () => undefined);
    await page.exposeFunction('codeAutomationExit', (code: number) => workbench.#testsEnded.resolve(code));
    // Before its scripts run, the page is told to test: in the element that its configuration is read from.
    await page.addInitScript(`(() => {
      if (window !== window.top) return;
      new MutationObserver((_, observer) => {
        const element = document.getElementById('vscode-workbench-web-configuration');
        if (!element) return;
        observer.disconnect();
        const configuration = JSON.parse(element.getAttribute('data-settings'));
        configuration.developmentOptions = { ...configuration.developmentOptions, ...${JSON.stringify(options)} };
        element.setAttribute('data-settings', JSON.stringify(configuration));
      }).observe(document, { childList: true, subtree: true });
    })()`);
    await page.goto(url);
    return workbench;
  }

  /** Resolves when VS Code says that the tests are over; what they found is another matter. */
  async testsEnded(limitMs: number): Promise<void> {
    let isOver = false;
    void this.#testsEnded.promise.then(() => {
      isOver = true;
    });
    await eventually('the tests have ended', () => (isOver ? true : undefined), limitMs);
  }

  static async #start(): Promise<Workbench> {
    const profile = await mkdtemp('/tmp/sci-br-');
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: '/usr/bin/chromium',
      headless: true,
      viewport: { width: 1360, height: 860 },
      permissions: ['clipboard-read', 'clipboard-write'],
      env: {
        ...process.env,
        HOME: profile,
        XDG_CONFIG_HOME: join(profile, 'config'),
        XDG_CACHE_HOME: join(profile, 'cache'),
      },
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-dev-shm-usage',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
      ],
    });
    return new Workbench(context, context.pages()[0] ?? (await context.newPage()), profile);
  }

  async ready(): Promise<void> {
    await this.page.waitForSelector('.monaco-workbench .part.statusbar', { timeout: START_MS });
  }

  async reload(): Promise<void> {
    const loaded = this.page.waitForEvent('load', { timeout: START_MS });
    await this.command('Developer: Reload Window');
    await loaded;
    await this.ready();
  }

  /** By its title in the command palette. */
  async command(title: string): Promise<void> {
    await this.#choose(`the command ${title} is chosen`, `>${title}`, title);
  }

  /** Chooses a command that opens a list, and answers that. */
  async answer(title: string, give: (timeout: number) => Promise<unknown>): Promise<void> {
    await this.answerList(title, () => this.command(title), give);
  }

  /** Opens a list in another way, and answers it. Anew when something else has taken the focus, which closes lists. */
  async answerList(
    what: string,
    open: (timeout: number) => Promise<unknown>,
    give: (timeout: number) => Promise<unknown>,
  ): Promise<void> {
    const answerIt = async () => {
      await open(ANSWER_MS);
      await give(ANSWER_MS);
      return true;
    };
    await eventually(`${what} is answered`, () => answerIt().catch(() => undefined), START_MS);
  }

  /** Of the menu behind the three dots in the title of a tree. */
  async chooseInTitle(pane: string, title: string, timeout = ACTION_MS): Promise<void> {
    await this.page.keyboard.press('Escape');
    await this.pane(pane).locator('.pane-header').hover({ timeout });
    await this.pane(pane)
      .getByRole('button', { name: /More Actions/ })
      .click({ timeout });
    await this.page.getByRole('menuitem', { name: title }).click({ timeout });
  }

  async connect(address: string, token: string): Promise<void> {
    await this.command('Simple CI: Connect to Cluster');
    await this.answerConnect(address, token);
  }

  /** What is asked of who wants to connect to a cluster. */
  async answerConnect(address: string, token: string): Promise<void> {
    await this.type(address);
    await this.page.locator('.quick-input-widget', { hasText: '2 of 2' }).waitFor();
    await this.type(token);
  }

  /** Of what is found for the text in the list of commands and files. It is opened anew when something else has taken the focus, and so closed it. */
  async #choose(what: string, text: string, label: string): Promise<void> {
    const input = this.page.locator('.quick-input-widget input.input');
    const rows = this.page.locator('.quick-input-list .monaco-list-row', { hasText: label });
    // A list that opens late takes what is typed for a command to run on the cluster.
    const row = rows.filter({ hasNotText: 'run this command' }).first();
    const timeout = 3000;
    const isPalette = async () => ((await input.inputValue({ timeout })).startsWith('>') ? true : undefined);
    const chooseIt = async () => {
      await this.page.keyboard.press('F1');
      await eventually('the list of commands is open', isPalette, timeout);
      await input.fill(text, { timeout });
      await row.click({ timeout });
      return true;
    };
    await eventually(what, () => chooseIt().catch(() => undefined), START_MS);
  }

  /** The row of the open list with the text, once it has been in its place for a moment: lists are filled again as one types. */
  async pick(text: string, timeout = ACTION_MS): Promise<void> {
    const row = this.page.locator('.quick-input-list .monaco-list-row', { hasText: text }).first();
    const place = async () => JSON.stringify(await row.boundingBox({ timeout: 1000 }).catch(() => undefined));
    const isSettled = async () => {
      const before = await place();
      await this.page.waitForTimeout(SETTLED_MS);
      return before !== undefined && before === (await place()) ? true : undefined;
    };
    await eventually(`${text} is in the list`, isSettled, timeout);
    await row.click({ timeout });
  }

  /** Types into the open input, and takes it. */
  async type(text: string): Promise<void> {
    await this.fill(text);
    await this.page.locator('.quick-input-widget input.input').press('Enter');
  }

  /** Types into the open input. */
  async fill(text: string, timeout = ACTION_MS): Promise<void> {
    await this.page.locator('.quick-input-widget input.input').fill(text, { timeout });
  }

  /** The row of the open list whose label is the text and nothing else. */
  async pickLabel(text: string, timeout = ACTION_MS): Promise<void> {
    const label = this.page.locator('.quick-input-list .monaco-list-row .label-name').getByText(text, { exact: true });
    await label.first().click({ timeout });
  }

  async openSideBar(name: string): Promise<void> {
    // A click on the one that is open would close it.
    const item = this.page.locator('.activitybar .action-item', { has: this.page.locator(`a[aria-label^="${name}"]`) });
    if (!/\bchecked\b/.test((await item.first().getAttribute('class')) ?? '')) await item.first().click();
  }

  pane(title: string): Locator {
    return this.page.locator('.pane', { has: this.page.locator(`.pane-header[aria-label^="${title}"]`) }).first();
  }

  async rows(title: string): Promise<readonly TreeRow[]> {
    const rows = await this.pane(title).locator('.monaco-list-row').all();
    return Promise.all(
      rows.map(async row => ({
        label:
          (await row
            .locator('.label-name')
            .first()
            .textContent({ timeout: 1000 })
            .catch(() => '')) ?? '',
        description:
          (await row
            .locator('.label-description')
            .first()
            .textContent({ timeout: 300 })
            .catch(() => '')) ?? '',
        spoken: (await row.getAttribute('aria-label', { timeout: 1000 }).catch(() => '')) ?? '',
      })),
    );
  }

  /** Waits until the tree has a row for which this holds. */
  row(title: string, what: string, isIt: (row: TreeRow) => boolean, limitMs = ACTION_MS): Promise<TreeRow> {
    return eventually(`${title}: ${what}`, async () => (await this.rows(title)).find(isIt), limitMs);
  }

  async openFile(name: string): Promise<void> {
    await this.#choose(`the file ${name} is opened`, name, name);
    await this.page.locator('.tab.active', { hasText: name.split('/').at(-1)! }).waitFor();
    await this.page.locator('.editor-group-container.active .monaco-editor .view-lines').first().click();
  }

  /** What the terminal that is seen has printed. */
  async terminalText(): Promise<string> {
    const lines = await this.page.locator('.terminal-wrapper.active .xterm-rows > div').allTextContents();
    return lines.map(line => line.replaceAll('\u00a0', ' ').trimEnd()).join('\n');
  }

  /** The documents of all logs that are seen. */
  async logFrames(): Promise<readonly Frame[]> {
    const frames = await Promise.all(
      this.page.frames().map(async frame => {
        const viewers = await frame
          .locator('log-viewer')
          .count()
          .catch(() => 0);
        return viewers > 0 && (await frame.locator('log-viewer').isVisible()) ? [frame] : [];
      }),
    );
    return frames.flat();
  }

  /** Waits until so many logs are seen that have this text. */
  async anyLog(text: string | RegExp, howMany: number): Promise<void> {
    await eventually(
      `${howMany} logs show ${text}`,
      async () => {
        const shown = await Promise.all(
          (await this.logFrames()).map(frame =>
            frame
              .getByText(text)
              .first()
              .isVisible()
              .catch(() => false),
          ),
        );
        return shown.filter(isShown => isShown).length === howMany ? true : undefined;
      },
      START_MS,
    );
  }

  /** The page of the log: the one in the panel area, or the nth one that is open. */
  log(nth = 0): FrameLocator {
    return this.page.frameLocator('iframe.webview').nth(nth).frameLocator('iframe#active-frame');
  }

  /** The document of the page of a task that is seen. */
  taskPage(): Promise<Frame> {
    return eventually(
      'the page of a task is seen',
      async () => {
        for (const frame of this.page.frames()) {
          const heading = frame.locator('main > header > h1');
          if (await heading.isVisible().catch(() => false)) return frame;
        }
        return undefined;
      },
      START_MS,
    );
  }

  /** To where nothing tells anything of itself. */
  async moveMouseAway(): Promise<void> {
    await this.page.mouse.move(900, 843);
    const hover = this.page.locator('.monaco-hover:visible').first();
    await hover.waitFor({ state: 'detached', timeout: 3000 }).catch(() => undefined);
  }

  async screenshot(folder: string, name: string): Promise<void> {
    await mkdir(folder, { recursive: true });
    await this.page.screenshot({ path: join(folder, `${name}.png`) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.close();
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
