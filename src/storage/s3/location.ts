/** How a bucket is written as a repository's URL: the forms restic has. */
import { posix } from 'node:path';
import { HoldfastError } from '../../base/errors.ts';
import { redactUrl } from '../open.ts';

export interface S3Location {
  readonly protocol: 'http:' | 'https:';
  /** Of the service, without the bucket; with its port, if it is not the usual one. */
  readonly host: string;
  readonly bucket: string;
  /** Before every object's name: empty, or `folder/deeper/`. */
  readonly prefix: string;
}

export const s3UrlForm = 's3:https://endpoint/bucket/prefix, s3:s3.amazonaws.com/bucket/prefix';

export function isS3Url(url: string): boolean {
  return /^s3:/i.test(url);
}

/** `usage.invalid` if there is no endpoint or bucket in it, or something that does not belong there. */
export function parseS3Url(url: string): S3Location {
  const rest = url.slice('s3:'.length);
  const given = /^https?:\/\//i.test(rest) ? rest : `https://${rest.replace(/^\/\//, '')}`;
  const parsed = URL.parse(given);
  if (!parsed || parsed.hostname === '') throw invalid(url, 'it names no endpoint');
  if (parsed.username !== '' || parsed.password !== '') throw invalid(url, 'keys do not belong into it');
  if (parsed.search !== '' || parsed.hash !== '') throw invalid(url, 'it has a query or a fragment');
  const [bucket, ...folders] = decoded(parsed.pathname, url).split('/').slice(1);
  if (bucket === undefined || bucket === '') throw invalid(url, 'it names no bucket');
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/.test(bucket))
    throw invalid(url, `${JSON.stringify(bucket)} is no bucket's name`);
  return {
    protocol: parsed.protocol === 'http:' ? 'http:' : 'https:',
    host: parsed.host,
    bucket,
    prefix: prefixOf(folders.join('/')),
  };
}

function prefixOf(folder: string): string {
  const clean = posix.join('/', folder).replace(/^\/+|\/+$/g, '');
  return clean === '' ? '' : `${clean}/`;
}

/** True for Amazon's own endpoints, of all partitions. */
export function isAmazon(host: string): boolean {
  return /(^|\.)amazonaws\.com(\.cn)?$/.test(host.replace(/:\d+$/, ''));
}

/** The region in the name of one of Amazon's endpoints: `s3.eu-west-1.amazonaws.com`, also with `dualstack` or `fips`. */
export function regionOfHost(host: string): string | undefined {
  return /^s3(?:-fips)?(?:\.dualstack)?[.-]([a-z]{2}(?:-[a-z]+)+-\d+)\.amazonaws\.com(?:\.cn)?$/.exec(host)?.[1];
}

/** Escaped as signatures want it: all but `A-Za-z0-9-._~`, and slashes kept. */
export function escapePath(path: string): string {
  return path.split('/').map(escapeText).join('/');
}

export function escapeText(text: string): string {
  const hex = (char: string): string => `%${char.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(text).replace(/[!'()*]/g, hex);
}

function decoded(path: string, url: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw invalid(url, 'a % in it begins no escape: write %25');
  }
}

function invalid(url: string, why: string): HoldfastError {
  return new HoldfastError({
    code: 'usage.invalid',
    message: `${JSON.stringify(redactUrl(url))} is not the URL of a bucket: ${why}`,
    remedy: `Write ${s3UrlForm}; keys are settings (s3: { accessKeyId, secretAccessKey }) or environment variables.`,
  });
}
