import { shellWord } from '../../base/shell-word.ts';
import type { ResticAccess, ResticVariable } from '../restic-access.ts';
import { parseS3Url } from './location.ts';
import type { S3Settings } from './settings.ts';

/** restic takes the keys from the environment only. */
export function resticAccess(url: string, settings: S3Settings): ResticAccess {
  const { protocol, host, bucket, prefix } = parseS3Url(url);
  const { accessKeyId, sessionToken, region, pathStyle, ca, roleArn } = settings;
  const env: ResticVariable[] = [
    {
      name: 'AWS_ACCESS_KEY_ID',
      what: 'id of the access key',
      ...(typeof accessKeyId === 'string' ? { value: accessKeyId } : {}),
    },
    { name: 'AWS_SECRET_ACCESS_KEY', what: 'secret access key' },
    ...(sessionToken ? [{ name: 'AWS_SESSION_TOKEN', what: 'session token' }] : []),
    ...(region === 'auto' ? [] : [{ name: 'AWS_DEFAULT_REGION', what: 'region', value: region }]),
  ];
  const options = [
    ...(pathStyle === undefined ? [] : [`-o s3.bucket-lookup=${pathStyle ? 'path' : 'dns'}`]),
    ...(ca === undefined ? [] : [`--cacert ${shellWord(ca)}`]),
  ];
  const notes = [
    ...(roleArn
      ? [`Holdfast assumes the role ${roleArn}; for restic, get temporary keys of it (aws sts assume-role).`]
      : []),
    ...(ca ? [`The certificates in ${ca} have to be there.`] : []),
  ];
  return { repository: `s3:${protocol}//${host}/${bucket}/${prefix}`.replace(/\/$/, ''), options, env, notes };
}
