/** The folder that holds those of the task, in both containers. */
export const TASK_ROOT = '/simple-ci/task';
/** Where the program is for the second container, whose image is not ours. */
export const PROGRAM_ROOT = '/simple-ci/bin';
/** What starts it there. */
export const PROGRAM = `${PROGRAM_ROOT}/simple-ci`;
