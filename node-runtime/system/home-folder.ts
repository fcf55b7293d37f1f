import { homedir } from 'node:os';

/**
 * The home folder of whoever runs this. In a container that may be nobody: a number without an entry in the list of users, and without
 * HOME. Then it is `/`, as container runtimes have it.
 */
export function homeFolder(): string {
  try {
    return homedir();
  } catch {
    return '/';
  }
}
