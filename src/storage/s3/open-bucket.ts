/** Puts the pieces of an S3 storage together. */
import { readFile } from 'node:fs/promises';
import { parseInstant } from '../../base/clock.ts';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { HttpConnections } from '../../protocols/http/exchange.ts';
import { redactUrl } from '../open.ts';
import type { OpenOptions, Storage } from '../storage.ts';
import { credentialSource } from './credentials.ts';
import { isAmazon, parseS3Url } from './location.ts';
import { ObjectLock } from './object-lock.ts';
import { PastObjects } from './past-objects.ts';
import { S3Storage } from './s3-storage.ts';
import { S3Service } from './service.ts';
import type { S3Settings } from './settings.ts';

/** Asks nobody, unless the bucket is to be made. */
export async function openBucket(url: string, { create, settings, tools }: OpenOptions<S3Settings>): Promise<Storage> {
  const location = parseS3Url(url);
  const { env, clock, signal } = tools;
  const connections = new HttpConnections({
    maxConnections: settings.concurrency,
    silenceMs: settings.timeoutSeconds * 1000,
    ca: await certificates(settings.ca ?? env.AWS_CA_BUNDLE),
    env,
  });
  const service = new S3Service({
    location,
    shown: redactUrl(url),
    region: settings.region,
    likelyRegion: env.AWS_REGION || env.AWS_DEFAULT_REGION || undefined,
    pathStyle: settings.pathStyle,
    connections,
    credentials: credentialSource({ settings, tools, connections }),
    clock,
    signal,
  });
  const { partBytes, contentMd5: md5, objectLock, asOf } = settings;
  const lock = objectLock && new ObjectLock(service, objectLock, clock);
  const storage = new S3Storage({
    service,
    partBytes,
    md5,
    objectHeaders: objectHeadersOf(settings),
    lock,
    past: asOf === undefined ? undefined : new PastObjects(service, parseInstant(asOf) ?? 0),
    close: () => connections.close(),
  });
  if (!create) return storage;
  try {
    await makeBucket(service, objectLock !== undefined);
    await lock?.requireReady(signal);
    return storage;
  } catch (error) {
    connections.close();
    throw error;
  }
}

function objectHeadersOf({ storageClass, serverSideEncryption, kmsKeyId }: S3Settings): Record<string, string> {
  return {
    ...(storageClass === undefined ? {} : { 'x-amz-storage-class': storageClass }),
    ...(serverSideEncryption === undefined ? {} : { 'x-amz-server-side-encryption': serverSideEncryption }),
    ...(kmsKeyId === undefined ? {} : { 'x-amz-server-side-encryption-aws-kms-key-id': kmsKeyId }),
  };
}

/** Made only if the service says that there is none: who may not make buckets can use one that is there. */
async function makeBucket(service: S3Service, holdsObjects: boolean): Promise<void> {
  const { bucket } = service.location;
  const query = { 'list-type': '2', 'max-keys': '1' };
  const found = await service.send({ doing: `find the bucket ${bucket}`, method: 'GET', query, accept: [404] });
  if (found.status !== 404) return;
  const constraint = `<LocationConstraint>${service.region}</LocationConstraint>`;
  const body =
    isAmazon(service.location.host) && service.region !== 'us-east-1'
      ? [Buffer.from(`<CreateBucketConfiguration>${constraint}</CreateBucketConfiguration>`, 'utf8')]
      : [];
  // 409: another program made it meanwhile, or it belongs to somebody else, which the first request to it will say.
  // Also switches versioning on.
  const headers: Record<string, string> = holdsObjects ? { 'x-amz-bucket-object-lock-enabled': 'true' } : {};
  await service.send({ doing: `make the bucket ${bucket}`, method: 'PUT', headers, body, accept: [409] });
  await service.send({ doing: `find the bucket ${bucket}`, method: 'GET', query });
}

async function certificates(path: string | undefined): Promise<string | undefined> {
  if (path === undefined || path === '') return undefined;
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new HoldfastError({
      code: 'config.invalid',
      message: `the certificates of the S3 storage cannot be read: ${messageOf(error)}`,
      remedy: 'Check s3.ca (or AWS_CA_BUNDLE): it must be a file in PEM form.',
      cause: error,
    });
  }
}
