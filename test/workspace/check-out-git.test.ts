import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { checkOutGit } from '../../node-runtime/workspace/check-out-git.ts';
import { type GitCheckoutOptions, planGitCheckout } from '../../node-runtime/workspace/plan-git-checkout.ts';
import { isCiError } from '../../shared/errors.ts';
import { SourceUnavailable } from '../../node-runtime/workspace/source-unavailable.ts';
import { describeIssue } from '../../shared/describe-issue.ts';
import { GitSource } from '../../shared/task.ts';
import { serveGit } from '../support/git-http-backend.ts';
import { GitWorkspace, runIn, walk } from '../support/git-workspace.ts';

const options: GitCheckoutOptions = { path: process.env.PATH ?? '/usr/bin:/bin', home: '/nonexistent' };

/** A git server over HTTP, as git itself brings one, with a password on demand. */
class GitServer implements Disposable {
  readonly user: GitWorkspace;
  password: string | undefined;
  readonly #server: Server;
  #port = 0;
  #checkouts = 0;

  private constructor(user: GitWorkspace) {
    this.user = user;
    this.#server = createServer((request, response) => {
      if (this.password !== undefined) return response.writeHead(401, { 'www-authenticate': 'Basic' }).end();
      serveGit(user.folder, request, response);
    });
  }

  static async start(user: GitWorkspace): Promise<GitServer> {
    const server = new GitServer(user);
    await once(server.#server.listen(0, '127.0.0.1'), 'listening');
    server.#port = (server.#server.address() as AddressInfo).port;
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/work/.git`;
  }

  async checkOut(ref: string) {
    const folder = join(this.user.folder, `checkout-${this.#checkouts++}`);
    mkdirSync(folder);
    const source = { type: 'git', url: this.url, ref } as const;
    const commit = await checkOutGit(source, runIn(folder), { ...options, allowProtocols: ['http'] });
    return { commit, folder };
  }

  [Symbol.dispose](): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

describe('checking out of a git server', () => {
  test('gives the files of a branch or tag, and tells the commit', async () => {
    using user = GitWorkspace.repository();
    using server = await GitServer.start(user);
    user.write('a');
    const first = user.commitAll();
    user.git('tag', '--annotate', '--message', 'One', 'v1');
    user.git('branch', 'feature/x');
    user.write('b');
    const second = user.commitAll();
    const main = await server.checkOut('main');
    assert.equal(main.commit, second);
    assert.deepEqual(walk(main.folder), walk(user.root));
    for (const ref of ['v1', 'feature/x', 'refs/tags/v1', 'refs/heads/feature/x'])
      assert.equal((await server.checkOut(ref)).commit, first, ref);
    assert.equal(user.gitIn(main.folder, 'rev-list', '--count', 'HEAD'), '1');
  });

  test('gives a commit by its id, also of a server that gives branches only', async () => {
    using user = GitWorkspace.repository();
    using server = await GitServer.start(user);
    user.write('a');
    const first = user.commitAll();
    user.write('b');
    user.commitAll();
    assert.equal((await server.checkOut(first)).commit, first);
    user.git('config', 'uploadpack.allowAnySHA1InWant', 'false');
    user.git('config', 'uploadpack.allowTipSHA1InWant', 'false');
    user.git('config', 'uploadpack.allowReachableSHA1InWant', 'false');
    user.git('config', 'protocol.version', '0');
    assert.equal((await server.checkOut(first)).commit, first);
  });

  test('tells a wrong ref, a wrong repository, a refusal and a silent server apart', async () => {
    using user = GitWorkspace.repository();
    using server = await GitServer.start(user);
    user.write('a');
    user.commitAll();
    const failure = async (ref: string) => {
      try {
        await server.checkOut(ref);
        return 'none';
      } catch (error) {
        return isCiError(error) ? error.code : String(error);
      }
    };
    assert.equal(await failure('no-such-branch'), 'not-found');
    assert.equal(await failure('0123456789012345678901234567890123456789'), 'not-found');
    server.password = 'secret';
    assert.equal(await failure('main'), 'forbidden');
    server[Symbol.dispose]();
    assert.equal(await failure('main'), 'unavailable');
  });

  test('blames the source for what a server does and says, and the node where git cannot even begin', async () => {
    const source = { type: 'git', url: 'https://127.0.0.1:1/x', ref: 'main' } as const;
    using user = GitWorkspace.repository();
    const ofSource = (error: unknown) => error instanceof SourceUnavailable && isCiError(error, 'unavailable');
    const ofNode = (error: unknown) => !(error instanceof SourceUnavailable) && isCiError(error, 'unavailable');
    await assert.rejects(checkOutGit(source, runIn(user.folder), options), ofSource);
    const fullAt = (name: string) => async (argv: readonly string[]) =>
      argv.includes(name)
        ? { code: 128, output: 'fatal: write error: No space left on device' }
        : { code: 0, output: '' };
    await assert.rejects(checkOutGit(source, fullAt('fetch'), options), ofSource);
    await assert.rejects(checkOutGit(source, fullAt('init'), options), ofNode);
  });

  test('runs no hook and follows no submodule', async () => {
    using user = GitWorkspace.repository();
    using server = await GitServer.start(user);
    user.write('a');
    user.write('.gitmodules', `[submodule "x"]\n\tpath = x\n\turl = ext::touch ${user.folder}/canary\n`);
    user.commitAll();
    user.git('update-index', '--add', '--cacheinfo', `160000,${user.git('rev-parse', 'HEAD')},x`);
    user.git('commit', '--quiet', '--message', 'Submodule');
    const { folder } = await server.checkOut('main');
    assert.deepEqual(readdirSync(join(folder, 'x')), []);
    assert.equal(existsSync(join(folder, '.git/hooks')), false);
    assert.equal(existsSync(join(user.folder, 'canary')), false);
  });
});

const GOOD = { url: 'https://example.com/a.git', ref: 'main' };

describe('a hostile address or ref', () => {
  const urls = [
    '--upload-pack=touch /tmp/pwned',
    '-oProxyCommand=touch /tmp/pwned',
    'ext::sh -c touch% /tmp/pwned',
    'ext::sh',
    'fd::17',
    'file:///etc',
    '/etc/passwd',
    '../outside',
    './.git',
    'http://example.com/a.git',
    'git://example.com/a.git',
    'ftp://example.com/a.git',
    'ssh://-oProxyCommand=touch/x',
    'ssh://-oProxyCommand=touch@host/x',
    'ssh://%2doProxyCommand=touch/x',
    'https://-x/y',
    'https://',
    'https:///x',
    'https:example.com/x',
    'git@-oProxyCommand=x:y',
    '-x@host:y',
    'git@host:-oProxyCommand=x',
    'git@host:/-x/../..\n',
    'https://example.com/a b',
    'https://example.com/\na',
    'https://example.com/\0a',
    'HTTPS+ext::x',
    'ssh://a@-oProxyCommand=x/y',
    'ssh://%2doProxyCommand=x@host/y',
    'https://user:password@example.com/a.git',
    'ssh://git:password@example.com/a.git',
    'https://:password@example.com/a.git',
    'https://a:b:c@d@example.com/a.git',
    'https://me:pass/word@example.com/a.git',
    'https://example.com\\@-x/y',
    '',
  ];
  for (const url of urls)
    test(`is refused: address ${JSON.stringify(url)}`, () => {
      assert.throws(
        () => planGitCheckout({ ...GOOD, url }, options),
        (error: unknown) => isCiError(error, 'invalid'),
      );
      assert.ok(!GitSource.safeParse({ type: 'git', ...GOOD, url }).success, 'a task with it can be submitted');
    });

  const refs = [
    '--upload-pack=touch /tmp/pwned',
    '-f',
    '',
    'a b',
    'a..b',
    'main:refs/heads/evil',
    '+main',
    '^main',
    'main~1',
    'main@{1}',
    '@',
    '*',
    'refs/heads/*',
    'a[b',
    'a?b',
    'a\\b',
    '/main',
    'main/',
    'a//b',
    'main.lock',
    'a.lock/b',
    '.hidden',
    'refs/heads/../../x',
    '\u2028a..b',
    'a/.b',
    'main.',
    'a\nb',
    'a\0b',
    'a\u007fb',
    'x'.repeat(501),
  ];
  for (const ref of refs)
    test(`is refused: ref ${JSON.stringify(ref.slice(0, 40))}`, () => {
      assert.throws(
        () => planGitCheckout({ ...GOOD, ref }, options),
        (error: unknown) => isCiError(error, 'invalid'),
      );
      assert.ok(!GitSource.safeParse({ type: 'git', ...GOOD, ref }).success, 'a task with it can be submitted');
    });

  test('is no honest one', () => {
    const good = [
      'https://example.com/a.git',
      'https://user@example.com:8443/a%20b',
      'ssh://git@example.com:22/a',
      'git@example.com:a/b.git',
      'https://[::1]/a',
      'https://münchen.example/a',
      'https://example.com/a:b@c',
      'ssh://git@example.com/~me/a.git',
    ];
    for (const url of good) {
      planGitCheckout({ ...GOOD, url }, options);
      assert.ok(GitSource.safeParse({ type: 'git', ...GOOD, url }).success, url);
    }
    for (const ref of ['main', 'feature/x-1.2_3', 'refs/pull/1/head', 'v1.0', 'ü', 'a@b', '0123456789'.repeat(4)]) {
      planGitCheckout({ ...GOOD, ref }, options);
      assert.ok(GitSource.safeParse({ type: 'git', ...GOOD, ref }).success, ref);
    }
  });

  test('with a password is refused without telling it', () => {
    const refusal = (url: string) => {
      const { error } = GitSource.shape.url.safeParse(url);
      return describeIssue(error!.issues[0]!, url);
    };
    assert.match(
      refusal('https://me:hunter2@example.com/a'),
      /^must not hold a password.*: "https:..…@example.com.a"$/,
    );
    assert.doesNotMatch(refusal('https://me:hunter2/more@example.com/a'), /hunter2/);
  });

  test('that would get past the plan stands behind --end-of-options, and only https and ssh are open', () => {
    const { fetches, env } = planGitCheckout({ ...GOOD, ref: '0'.repeat(40) }, options);
    assert.equal(fetches.length, 2);
    for (const command of fetches) assert.equal(command[command.indexOf(GOOD.url) - 1], '--end-of-options');
    assert.equal(env.GIT_ALLOW_PROTOCOL, 'https:ssh');
    assert.equal(env.GIT_TERMINAL_PROMPT, '0');
  });
});
