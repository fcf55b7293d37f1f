// `node scripts/run.mjs test/soak/report.ts FILE`: writes into docs/reliability.md what a soak has measured, so that no number there is
// typed. FILE is the one that `npm run soak -- --file FILE` writes.
import { readFromRoot, writeGenerated } from '../../scripts/write-generated.ts';
import { amount, markdownTable, replaceSection } from '../support/page-section.ts';
import { soakTable } from './format-soak.ts';
import { judgeSoak } from './judge-soak.ts';
import { readRecord } from './read-record.ts';

const PAGE = 'docs/reliability.md';
const [file] = process.argv.slice(2);
if (file === undefined) throw new Error('Cannot report as no file was named');
const record = await readRecord(file);
const verdict = judgeSoak(record);
const { minutes, rounds, actionsPerSecond, seed, node } = record.head;
const { tasks, actions, cpuSeconds, surprises, isFlat, isCutShort } = verdict;
const cores = (seconds: number) => `${amount((seconds / (verdict.minutes * 60)) * 100)} %`;
const command = `npm run soak -- --minutes ${minutes} --rounds ${rounds} --rate ${actionsPerSecond} --seed ${seed}`;
const [head, ...rows] = soakTable(verdict);
const content = [
  `\`${command}\`, Node ${node}${isCutShort ? `, cut short after ${amount(verdict.minutes)} minutes` : ''}: ${amount(actions)} things done, ${amount(tasks)} tasks among them. Not as it should be: ${surprises.length}.`,
  ...[...new Set(surprises)].map(text => `– ${text}`),
  `The node took ${cores(cpuSeconds.node)} of a core, its supervisor ${cores(cpuSeconds.supervisor)}. ${isFlat ? 'Flat.' : '**Not flat.**'}`,
  '',
  markdownTable(head!, rows),
];
await writeGenerated(new Map([[PAGE, replaceSection(await readFromRoot(PAGE), 'soak', content.join('\n'))]]), []);
