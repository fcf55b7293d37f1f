import { closeSync, openSync, readSync } from 'node:fs';
import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import { type FilePath, pathBytes } from './file-path.ts';
import type { Index } from './read-index.ts';

export interface SecretFile {
  readonly path: string;
  /** As in "it is named like a private key". */
  readonly why: string;
}

/** Larger files are judged by their name only. */
const MAX_SCANNED_BYTES = 262_144;
/** Secrets stand near the start of the files that people forget. */
const HEAD_BYTES = 8192;

/**
 * Those of the files that look as if they held secrets, and why: by name, and by the start of what is in them. A net with
 * wide meshes against accidents, not a guard: what it does not find may be a secret all the same.
 */
export function findSecrets(workTree: string, paths: Iterable<FilePath>, index: Index): Record<FilePath, string> {
  const found: Record<FilePath, string> = {};
  for (const path of paths) {
    const size = index.get(path)?.size;
    if (size === undefined) continue;
    const why = suspiciousName(path) ?? suspiciousContent(workTree, path, size);
    if (why !== undefined) found[path] = why;
  }
  return found;
}

/** Refuses to send files that look as if they held secrets. */
export function refuseSecrets(secrets: readonly SecretFile[]): void {
  if (secrets.length === 0) return;
  const list = secrets.slice(0, 10).map(({ path, why }) => `${quote(path)} (${why})`);
  const more = secrets.length > 10 ? ` and ${secrets.length - 10} more` : '';
  throw new CiError(
    'invalid',
    `Cannot send workspace as untracked files look like secrets: ${list.join(', ')}${more}. Ignore them by .gitignore, or allow them with --allow-secrets`,
  );
}

const EXAMPLE = /(^|[._-])(example|sample|template|dist|defaults?|test|tmpl|tpl|schema)([._-]|$)/i;

const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^\.env(\..+)?$|^\.envrc$|.\.env$/i, 'it is named like a file of environment variables'],
  [/^id_(rsa|dsa|ecdsa|ed25519)(_sk)?$/, 'it is named like a private key'],
  [/\.(p12|pfx|jks|keystore|kdbx|ppk)$/i, 'it is named like a key store'],
  [/^(\.netrc|_netrc|\.pgpass|\.my\.cnf|\.git-credentials|\.htpasswd)$/, 'it is named like a file of passwords'],
  [
    /^(credentials|client_secret.*|service[-_]account.*|application_default_credentials)\.json$/i,
    'it is named like credentials',
  ],
  [/^(kubeconfig|.*\.kubeconfig)$/i, 'it is named like the access to a Kubernetes cluster'],
  [/^(secrets?|credentials)\.(ya?ml|json|toml|ini|properties)$/i, 'it is named like a file of secrets'],
  [/\.tfstate(\.backup)?$|^terraform\.tfvars$/, 'it is named like the state of Terraform, which holds secrets'],
];

const FOLDERS: readonly (readonly [RegExp, string])[] = [
  [/(^|\/)\.aws\/credentials$/, 'it is named like the access to AWS'],
  [/(^|\/)\.kube\/config$/, 'it is named like the access to a Kubernetes cluster'],
  [/(^|\/)\.docker\/config\.json$/, 'it is named like the access to container registries'],
  [/(^|\/)\.(ssh|gnupg)\/.*(key|id_)/, 'it is named like a private key'],
];

function suspiciousName(path: FilePath): string | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (EXAMPLE.test(name)) return undefined;
  return NAMES.find(([pattern]) => pattern.test(name))?.[1] ?? FOLDERS.find(([pattern]) => pattern.test(path))?.[1];
}

const CONTENTS: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY( BLOCK)?-----/, 'it holds a private key'],
  [/\b(AKIA|ASIA)(?!.{0,16}EXAMPLE)[A-Z0-9]{16}\b/, 'it holds an AWS access key'],
  [/aws_secret_access_key\s*[=:]\s*["']?[A-Za-z0-9/+]{40}\b/i, 'it holds an AWS secret key'],
  [/^\s*(\/\/[^\s=]+:)?_(authToken|password|auth)\s*=\s*(?!["']?\$\{)\S+/m, 'it holds the token of a package registry'],
  [/\b(ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{36}\b|\bgithub_pat_[A-Za-z0-9_]{60,}/, 'it holds a GitHub token'],
  [/\bglpat-[A-Za-z0-9_-]{20}/, 'it holds a GitLab token'],
  [/\bxox[abprs]-[A-Za-z0-9-]{20,}/, 'it holds a Slack token'],
  [/\bnpm_[A-Za-z0-9]{36}\b/, 'it holds an npm token'],
  [/"private_key"\s*:\s*"-----BEGIN/, 'it holds the key of a service account'],
  [/^\s*(client-key-data|token):\s*[A-Za-z0-9+/_.-]{40,}/m, 'it holds the access to a Kubernetes cluster'],
  [/^\s*password\s*[=:]\s*pypi-[A-Za-z0-9_-]{20,}/m, 'it holds a PyPI token'],
];

function suspiciousContent(workTree: string, path: FilePath, size: number): string | undefined {
  if (size === 0 || size > MAX_SCANNED_BYTES) return undefined;
  const head = readHead(pathBytes(workTree, path));
  const why = CONTENTS.find(([pattern]) => pattern.test(head))?.[1];
  if (why !== undefined) return why;
  return /(^|\/)\.pypirc$/.test(path) && /^\s*password\s*[=:]\s*\S/m.test(head) ? 'it holds a password' : undefined;
}

const buffer = Buffer.alloc(HEAD_BYTES);

/** Empty for what cannot be read as a file any more. */
function readHead(file: Buffer): string {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, 'r');
    return buffer.toString('latin1', 0, readSync(descriptor, buffer));
  } catch {
    return '';
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
