import type { FuzzTarget } from './fuzz-target.ts';

import { httpRequestTargets } from './http-requests.ts';
import { keyTargets } from './keys.ts';
import { logFramingTargets } from './log-framing.ts';
import { logTextTargets } from './log-text.ts';
import { messageTargets } from './messages.ts';
import { packTargets } from './packs.ts';
import { podTargets } from './pods.ts';
import { problemMatcherTargets } from './problem-matchers.ts';
import { taskFileTargets } from './task-files.ts';
import { webSocketTargets } from './web-sockets.ts';

/** Everything there is that takes what others send. */
export const TARGETS: readonly FuzzTarget[] = [
  ...keyTargets,
  ...logFramingTargets,
  ...logTextTargets,
  ...taskFileTargets,
  ...messageTargets,
  ...problemMatcherTargets,
  ...podTargets,
  ...webSocketTargets,
  ...httpRequestTargets,
  ...packTargets,
];
