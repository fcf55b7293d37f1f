import { CiError } from '../../shared/errors.ts';
import { quote } from '../../shared/ids.ts';
import { checkObjectKey } from './object-key.ts';

/** Which objects of which S3. */
export interface S3Options {
  readonly bucket: string;
  /** What all keys start with: empty, or ending with a slash. */
  readonly prefix: string;
  /** Default: AWS. */
  readonly endpoint?: string;
  readonly region: string;
  /** Whether the bucket is in the path (`http://host/bucket/key`) or in the host's name. */
  readonly pathStyle: boolean;
}

const SETTINGS = ['endpoint', 'region', 'pathStyle'];
const FORM = 's3://BUCKET/PREFIX?endpoint=URL&region=NAME&pathStyle=true|false';

/**
 * `s3://bucket/prefix?endpoint=https://s3.example.com&region=eu-west-1&pathStyle=false`. Everything after the bucket may be
 * left out: then it is AWS in us-east-1 (a bucket elsewhere is found by itself). With an endpoint, pathStyle is true unless said
 * otherwise. Credentials never stand here, as addresses are shown and logged.
 */
export function parseS3Address(text: string): S3Options {
  const refuse = (why: string) => new CiError('invalid', `Cannot use S3 address as ${why}: ${quote(text)}`);
  const url = URL.parse(text);
  if (url?.protocol !== 's3:') throw refuse(`it is not of the form ${FORM}`);
  if (url.username !== '' || url.password !== '')
    throw new CiError(
      'invalid',
      'Cannot use S3 address as it holds credentials, which belong in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
    );
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/.test(url.host))
    throw refuse('its bucket is not 3 to 255 of [A-Za-z0-9._-]');
  for (const name of url.searchParams.keys()) {
    if (!SETTINGS.includes(name)) throw refuse(`there is no setting "${name}"${suggestion(name)}`);
    if (url.searchParams.getAll(name).length > 1) throw refuse(`"${name}" is given twice`);
  }
  const endpoint = url.searchParams.get('endpoint');
  const pathStyle = url.searchParams.get('pathStyle') ?? String(endpoint !== null);
  if (pathStyle !== 'true' && pathStyle !== 'false') throw refuse('pathStyle is neither true nor false');
  return {
    bucket: url.host,
    prefix: parsePrefix(url.pathname),
    ...(endpoint !== null && { endpoint: parseEndpoint(endpoint) }),
    region: parseRegion(url.searchParams.get('region') ?? 'us-east-1'),
    pathStyle: pathStyle === 'true',
  };
}

/** For people: what `parseS3Address` was given, in short. */
export function describeS3Address({ bucket, endpoint, region }: S3Options): string {
  return `bucket ${quote(bucket)} at ${endpoint ?? `AWS ${region}`}`;
}

function parsePrefix(pathname: string): string {
  const prefix = decode(pathname).replace(/^\/+|\/+$/g, '');
  if (prefix === '') return '';
  checkObjectKey(prefix);
  return `${prefix}/`;
}

function decode(pathname: string): string {
  try {
    return decodeURIComponent(pathname);
  } catch {
    throw new CiError('invalid', `Cannot use S3 prefix as a % in it starts no escape: ${quote(pathname)}`);
  }
}

function parseEndpoint(text: string): string {
  const refuse = (why: string) => new CiError('invalid', `Cannot use S3 endpoint as ${why}: ${quote(text)}`);
  const url = URL.parse(text);
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
    throw refuse('it does not start with http:// or https://');
  if (url.username !== '' || url.search !== '' || url.hash !== '') throw refuse('it is more than a host and a path');
  return text.replace(/\/+$/, '');
}

function parseRegion(text: string): string {
  if (/^[A-Za-z0-9-]{1,64}$/.test(text)) return text;
  throw new CiError('invalid', `Cannot use S3 region as it is not 1 to 64 of [A-Za-z0-9-]: ${quote(text)}`);
}

function suggestion(name: string): string {
  const near = SETTINGS.find(setting => distance(name.toLowerCase(), setting.toLowerCase()) <= 2);
  return near === undefined ? ` (there are ${SETTINGS.join(', ')})` : ` (did you mean "${near}"?)`;
}

/** How many letters must be put in, left out or changed to make one word of the other. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, i) => i);
  for (const [i, letter] of [...one].entries()) {
    const next = [i + 1];
    for (let j = 0; j < other.length; j++)
      next.push(Math.min(row[j + 1]! + 1, next[j]! + 1, row[j]! + (letter === other[j] ? 0 : 1)));
    row = next;
  }
  return row.at(-1)!;
}
