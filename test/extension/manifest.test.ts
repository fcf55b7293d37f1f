import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { COMMANDS } from '../../extension/commands.ts';
import { ROW_KINDS } from '../../extension/row.ts';
import { AGENT_TOOL_NAMES, AGENT_TOOLS, inputSchemaOf } from '../../shared/agents/agent-tools.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');

interface MenuItem {
  readonly command: string;
  readonly when?: string;
}

interface Manifest {
  readonly engines: { readonly vscode: string };
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly icon: string;
  readonly activationEvents: readonly string[];
  readonly capabilities: { readonly untrustedWorkspaces: { readonly restrictedConfigurations: readonly string[] } };
  readonly enabledApiProposals?: unknown;
  readonly contributes: {
    readonly commands: readonly { readonly command: string; readonly enablement?: string }[];
    readonly menus: Readonly<Record<string, readonly MenuItem[]>>;
    readonly keybindings: readonly (MenuItem & { readonly key: string })[];
    readonly views: Readonly<
      Record<string, readonly { readonly id: string; readonly when?: string; readonly icon: string }[]>
    >;
    readonly viewsContainers: Readonly<Record<string, readonly { readonly id: string; readonly icon: string }[]>>;
    readonly viewsWelcome: readonly { readonly view: string; readonly contents: string; readonly when: string }[];
    readonly configuration: { readonly properties: Readonly<Record<string, { readonly scope: string }>> };
    readonly languageModelTools: readonly {
      readonly name: string;
      readonly modelDescription: string;
      readonly inputSchema: unknown;
    }[];
    readonly mcpServerDefinitionProviders: readonly { readonly id: string }[];
    readonly walkthroughs: readonly {
      readonly steps: readonly {
        readonly media: { readonly image: string };
        readonly completionEvents: readonly string[];
      }[];
    }[];
    readonly taskDefinitions: readonly { readonly type: string }[];
    readonly jsonValidation: readonly { readonly fileMatch: string; readonly url: string }[];
    readonly yamlValidation: readonly { readonly fileMatch: readonly string[]; readonly url: string }[];
  };
}

const manifest = JSON.parse(read('package.json')) as Manifest;
const texts = JSON.parse(read('package.nls.json')) as Record<string, string>;
const { contributes } = manifest;
const sources = readdirSync(join(root, 'extension'), { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.ts'))
  .map(name => read(`extension/${name}`))
  .join('\n');
const viewIds = Object.values(contributes.views).flatMap(views => views.map(({ id }) => id));
const whens = [
  ...Object.values(contributes.menus).flatMap(items => items.map(({ when }) => when)),
  ...contributes.commands.map(({ enablement }) => enablement),
  ...contributes.keybindings.map(({ when }) => when),
  ...Object.values(contributes.views).flatMap(views => views.map(({ when }) => when)),
  ...contributes.viewsWelcome.map(({ when }) => when),
].filter(when => when !== undefined);

test('the commands of the manifest are those that the extension registers', () => {
  assert.deepEqual(contributes.commands.map(({ command }) => command).sort(), [...COMMANDS].sort());
});

test('menus, keys and welcome texts name only commands that exist', () => {
  const used = [
    ...Object.values(contributes.menus).flatMap(items => items.map(({ command }) => command)),
    ...contributes.keybindings.map(({ command }) => command),
    ...Object.values(texts).flatMap(text => [...text.matchAll(/\(command:([\w.-]+)\)/g)].map(match => match[1] ?? '')),
    ...contributes.walkthroughs.flatMap(({ steps }) =>
      steps.flatMap(({ completionEvents }) =>
        completionEvents.flatMap(event => (event.startsWith('onCommand:') ? [event.slice('onCommand:'.length)] : [])),
      ),
    ),
  ];
  const builtIn = ['workbench.trust.manage'];
  assert.deepEqual(
    used.filter(command => !(COMMANDS as readonly string[]).includes(command) && !builtIn.includes(command)),
    [],
  );
});

test('commands that need a row are not in the palette', () => {
  const hidden = (contributes.menus.commandPalette ?? []).map(({ command }) => command);
  const rowOnly = [
    'simple-ci.runNamedTask',
    'simple-ci.openArtifact',
    'simple-ci.saveArtifact',
    'simple-ci.compareArtifact',
  ];
  for (const command of rowOnly) assert.ok(hidden.includes(command), command);
});

test('every kind of row that a menu asks for is one that a tree makes', () => {
  for (const when of whens) {
    for (const [, kind] of when.matchAll(/viewItem == ([\w-]+)/g))
      assert.ok((ROW_KINDS as readonly string[]).includes(kind!), when);
    for (const [, expression] of when.matchAll(/viewItem =~ \/(.+?)\/(?:\s|$)/g)) {
      const words = /^\^\(([\w|-]+)\)\$$/.exec(expression!)?.[1]?.split('|') ?? [];
      assert.ok(words.length > 0, `${when}: only ^(a|b)$ can be checked`);
      for (const word of words) assert.ok((ROW_KINDS as readonly string[]).includes(word), `${when}: ${word}`);
    }
  }
});

test('keys of a log among the editors mean it only while nothing beside the editors has the focus: terminals and trees have a search of their own', () => {
  const ofPanel = contributes.keybindings.filter(({ when = '' }) => when.includes('activeWebviewPanelId'));
  assert.equal(ofPanel.length, 2);
  for (const { when } of ofPanel)
    assert.match(when!, /\|\| activeWebviewPanelId == [\w.-]+ && !panelFocus && !sideBarFocus && !auxiliaryBarFocus$/);
});

test('every view that a condition asks for exists', () => {
  for (const when of whens)
    for (const [, id] of when.matchAll(/\b(?:view|focusedView) == ([\w.-]+)/g)) assert.ok(viewIds.includes(id!), when);
  for (const { view } of contributes.viewsWelcome) assert.ok(viewIds.includes(view), view);
  for (const id of viewIds) assert.ok(sources.includes(`'${id}'`), id);
});

test('every context that a condition asks for is set by the extension, with the values it asks for', () => {
  const names = new Set(
    whens.flatMap(when =>
      [...when.matchAll(/\bsimple-ci\.(?!tasks|queue|nodes|logPanel|taskPage|log\b)\w+/g)].map(match => match[0]),
    ),
  );
  for (const name of names) assert.ok(sources.includes(`'${name}'`), name);
  const states = ['none', 'connecting', 'connected', 'waiting', 'refused'];
  for (const when of whens)
    for (const [, word] of when.matchAll(/simple-ci\.connection [!=]= (\w+)/g)) assert.ok(states.includes(word!), when);
});

test('settings that are read exist, and a workspace cannot set them', () => {
  const declared = Object.keys(contributes.configuration.properties).map(name => name.replace('simple-ci.', ''));
  const used = [...read('extension/settings.ts').matchAll(/\bget(?:<\w+>)?\('(\w+)'/g)].map(match => match[1]);
  assert.deepEqual([...new Set(used)].sort(), declared.sort());
  for (const [name, { scope }] of Object.entries(contributes.configuration.properties))
    assert.ok(scope === 'machine' || scope === 'application', name);
  assert.ok(manifest.capabilities.untrustedWorkspaces.restrictedConfigurations.includes('simple-ci.programPath'));
});

test('every text of the manifest has its entry, and no entry is left over', () => {
  const used = [...read('package.json').matchAll(/"%([\w.]+)%"/g)].map(match => match[1] ?? '');
  assert.deepEqual([...new Set(used)].sort(), Object.keys(texts).sort());
});

test('the tools for language models are told to them as they are', () => {
  assert.deepEqual(
    contributes.languageModelTools.map(({ name, modelDescription, inputSchema }) => [
      name,
      modelDescription,
      inputSchema,
    ]),
    AGENT_TOOL_NAMES.map(name => [`simple-ci_${name}`, AGENT_TOOLS[name].description, inputSchemaOf(name)]),
  );
  for (const { name } of contributes.languageModelTools)
    assert.ok(sources.includes(`'${name.replace('simple-ci_', '')}'`), name);
  for (const { id } of contributes.mcpServerDefinitionProviders) assert.ok(sources.includes(`'${id}'`), id);
});

test('icons are there', () => {
  const icons = [
    manifest.icon,
    ...Object.values(contributes.viewsContainers).flatMap(all => all.map(({ icon }) => icon)),
    ...Object.values(contributes.views).flatMap(all => all.map(({ icon }) => icon)),
  ].filter(icon => icon !== undefined);
  for (const icon of icons) assert.ok(existsSync(join(root, icon)), icon);
});

test('the schema of task files is shipped, for JSON and for the YAML extension', () => {
  for (const { url } of [...contributes.jsonValidation, ...contributes.yamlValidation]) {
    assert.ok(existsSync(join(root, url)), url);
    assert.ok(read('.vscodeignore').includes(`!${url.replace('./', '')}\n`), url);
  }
});

test('the pictures of the walkthrough, and of the page that the marketplace shows, are in the package', () => {
  const shipped = read('test/vscode/vsix.golden').split('\n');
  const shown = [...read('MARKETPLACE.md').matchAll(/\]\(([^)]+)\)/g)].map(match => match[1] ?? '');
  const pictures = contributes.walkthroughs.flatMap(({ steps }) => steps.map(({ media }) => media.image));
  assert.ok(shown.length > 3 && pictures.length > 3);
  assert.deepEqual(
    [...shown, ...pictures].filter(path => !shipped.includes(path)),
    [],
  );
});

test('the API that is compiled against is the oldest that the extension accepts, and nothing proposed is used', () => {
  assert.equal(`^${manifest.devDependencies['@types/vscode']}`, manifest.engines.vscode);
  assert.equal(manifest.enabledApiProposals, undefined);
});

test('the extension is not loaded before something of it is needed', () => {
  for (const event of manifest.activationEvents) assert.doesNotMatch(event, /^\*$|^onStartupFinished$/);
});
