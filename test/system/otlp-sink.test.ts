import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { test } from 'node:test';
import { createLogger } from '../../node-runtime/system/logger.ts';
import { OtlpSink } from '../../node-runtime/system/otlp-sink.ts';
import type { Span } from '../../node-runtime/system/span.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { eventually } from '../support/test-tasks.ts';

interface Received {
  readonly path: string;
  readonly headers: Record<string, unknown>;
  // biome-ignore lint/suspicious/noExplicitAny: what the protocol says
  readonly body: any;
}

/** A collector that answers with these statuses, one after the other, then with 200. */
async function collector(...statuses: number[]) {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    received.push({ path: request.url ?? '', headers: request.headers, body: await json(request) });
    response.writeHead(statuses.shift() ?? 200).end('{}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const lines: string[] = [];
  const clock = new FakeClock();
  const sink = new OtlpSink({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    headers: { 'x-key': 'k' },
    resource: { 'service.name': 'simple-ci' },
    clock,
    logger: createLogger({ write: line => lines.push(line) }),
  });
  return {
    received,
    lines,
    sink,
    /** Lets time pass until it has been asked so often. */
    async asked(times: number): Promise<void> {
      await eventually(`asked ${times} times`, async () => {
        await clock.advance(1000);
        return received.length >= times || undefined;
      });
    },
    [Symbol.asyncDispose]: async () => {
      await sink[Symbol.asyncDispose]();
      server.closeAllConnections();
      server.close();
    },
  };
}

const SPAN: Span = {
  trace: 'a'.repeat(32),
  id: 'b'.repeat(16),
  parent: 'c'.repeat(16),
  name: 'step test',
  start: 1_700_000_000_123,
  end: 1_700_000_001_000,
  attributes: { text: 'x', whole: 3, part: 0.5, yes: true },
  failure: 'exit code 3',
};

test('spans reach the collector as OTLP in JSON', async () => {
  await using setting = await collector();
  setting.sink.add([SPAN]);
  await setting.asked(1);
  const [{ path, headers, body }] = setting.received as [Received];
  assert.equal(path, '/v1/traces');
  assert.deepEqual([headers['content-type'], headers['x-key']], ['application/json', 'k']);
  assert.deepEqual(body.resourceSpans[0].resource.attributes, [
    { key: 'service.name', value: { stringValue: 'simple-ci' } },
  ]);
  assert.deepEqual(body.resourceSpans[0].scopeSpans[0].spans, [
    {
      traceId: SPAN.trace,
      spanId: SPAN.id,
      parentSpanId: SPAN.parent,
      name: 'step test',
      kind: 1,
      startTimeUnixNano: '1700000000123000000',
      endTimeUnixNano: '1700000001000000000',
      attributes: [
        { key: 'text', value: { stringValue: 'x' } },
        { key: 'whole', value: { intValue: '3' } },
        { key: 'part', value: { doubleValue: 0.5 } },
        { key: 'yes', value: { boolValue: true } },
      ],
      status: { code: 2, message: 'exit code 3' },
    },
  ]);
});

test('spans that a collector could not take are sent again, and it is said once that it could not', async () => {
  await using setting = await collector(503, 503);
  setting.sink.add([SPAN]);
  await setting.asked(3);
  assert.deepEqual(
    setting.received.map(({ body }) => body.resourceSpans[0].scopeSpans[0].spans[0].spanId),
    [SPAN.id, SPAN.id, SPAN.id],
  );
  assert.equal(setting.lines.filter(line => line.includes('Cannot send traces')).length, 1);
});

test('spans that a collector refuses are not sent again', async () => {
  await using setting = await collector(400);
  setting.sink.add([SPAN]);
  await setting.asked(1);
  setting.sink.add([{ ...SPAN, id: 'd'.repeat(16) }]);
  await setting.asked(2);
  assert.deepEqual(
    setting.received[1]!.body.resourceSpans[0].scopeSpans[0].spans.map((span: { spanId: string }) => span.spanId),
    ['d'.repeat(16)],
  );
});

test('what waits is sent when the node stops', async () => {
  const setting = await collector();
  setting.sink.add([SPAN]);
  await setting[Symbol.asyncDispose]();
  assert.equal(setting.received.length, 1);
});
