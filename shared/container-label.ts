/** What nodes have that run tasks in containers: a task that names an image asks for it, also where nobody wrote it down. */
export const CONTAINER_LABEL = 'container';
