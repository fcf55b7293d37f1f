/** All commands, as package.json names them. */
export const COMMANDS = [
  'simple-ci.startLocalNode',
  'simple-ci.stopLocalNode',
  'simple-ci.connect',
  'simple-ci.switchCluster',
  'simple-ci.forgetCluster',
  'simple-ci.reconnect',
  'simple-ci.runTask',
  'simple-ci.runNamedTask',
  'simple-ci.runAgain',
  'simple-ci.runLast',
  'simple-ci.cancelTask',
  'simple-ci.openLog',
  'simple-ci.openTask',
  'simple-ci.openLogToSide',
  'simple-ci.saveLog',
  'simple-ci.findInLog',
  'simple-ci.toggleTimestamps',
  'simple-ci.copyTaskId',
  'simple-ci.copyTaskLink',
  'simple-ci.filterTasks',
  'simple-ci.openArtifact',
  'simple-ci.saveArtifact',
  'simple-ci.compareArtifact',
  'simple-ci.showOwnLog',
] as const;

export type CommandId = (typeof COMMANDS)[number];
