import { expect, it } from 'vitest';
import { utf8 } from '../../base/bytes.ts';
import { escapeXml, listPageOf, serviceErrorOf, textOf, uploadsOf, versionPageOf } from './replies.ts';

const page = (inside: string): string =>
  `<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>${inside}</ListBucketResult>`;

it('A page of a list is read with names escaped either way', () => {
  const contents = (key: string, size: string): string =>
    `<Contents><Key>${key}</Key><LastModified>x</LastModified><Size>${size}</Size><Owner><ID>1</ID></Owner></Contents>`;
  expect(listPageOf(page(`<EncodingType>url</EncodingType>${contents('a+b/%C3%BC', '12')}`))).toMatchObject({
    objects: [{ key: 'a b/ü', sizeBytes: 12 }],
    truncated: false,
  });
  const plain = page(`<IsTruncated>true</IsTruncated><NextContinuationToken>t&amp;1</NextContinuationToken>
    ${contents('a+b&lt;%41', '0')}`);
  expect(listPageOf(plain)).toEqual({ objects: [{ key: 'a+b<%41', sizeBytes: 0 }], truncated: true, next: 't&1' });
  const unsound = [
    contents('c', 'x'),
    `<KeyCount>2</KeyCount>${contents('c', '1')}`,
    `<IsTruncated>tsue</IsTruncated>${contents('c', '1')}`,
  ];
  for (const inside of unsound) expect(listPageOf(page(inside))).toBeUndefined();
  const whole = page(contents('c', '1'));
  for (let length = 0; length < whole.length; length++) expect(listPageOf(whole.slice(0, length))).toBeUndefined();
  expect(listPageOf(page(`<KeyCount>1</KeyCount>${contents('c', '1')}`))?.objects).toHaveLength(1);
  expect(listPageOf('<html>Sign in to the Wi-Fi</html>')).toBeUndefined();
});

it('A page of versions is read, marks of removal among them, with the way to the next page', () => {
  const list = (inside: string): string => `<?xml version="1.0"?><ListVersionsResult>${inside}</ListVersionsResult>`;
  const facts = (id: string, latest: boolean): string =>
    `<Key>a%2Fb</Key><VersionId>${id}</VersionId><IsLatest>${latest}</IsLatest><LastModified>2026-11-20T03:00:00.000Z</LastModified>`;
  const xml = list(`<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextKeyMarker>a%2Fb</NextKeyMarker>
    <NextVersionIdMarker>v1</NextVersionIdMarker><DeleteMarker>${facts('v2', true)}</DeleteMarker>
    <Version>${facts('v1', false)}<ETag>&quot;t&quot;</ETag><Size>7</Size></Version>`);
  const storedAtMs = Date.UTC(2026, 10, 20, 3);
  expect(versionPageOf(xml)).toEqual({
    versions: [
      { key: 'a/b', versionId: 'v2', sizeBytes: 0, storedAtMs, isCurrent: true, isRemoval: true, tag: undefined },
      { key: 'a/b', versionId: 'v1', sizeBytes: 7, storedAtMs, isCurrent: false, isRemoval: false, tag: '"t"' },
    ],
    next: { 'key-marker': 'a/b', 'version-id-marker': 'v1' },
  });
  expect(versionPageOf(list(`<Version>${facts('v1', false)}</Version>`))).toBeUndefined();
  expect(versionPageOf(list(''))).toEqual({ versions: [] });
});

it('Errors are read, and nothing else is taken for one', () => {
  const error =
    '<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>It&#39;s &quot;gone&quot;</Message></Error>';
  expect(serviceErrorOf(utf8(error))).toEqual({ code: 'NoSuchKey', message: 'It\'s "gone"', region: undefined });
  expect(
    serviceErrorOf(utf8('<CompleteMultipartUploadResult><Key>Error</Key></CompleteMultipartUploadResult>')),
  ).toBeUndefined();
  expect(serviceErrorOf(new Uint8Array(0))).toBeUndefined();
});

it('Unfinished uploads are read with their ages', () => {
  const xml =
    '<ListMultipartUploadsResult><Upload><Key>k</Key><UploadId>u</UploadId><Initiated>2026-11-20T01:02:03.000Z</Initiated></Upload><Upload><Key>x</Key></Upload></ListMultipartUploadsResult>';
  expect(uploadsOf(xml)).toEqual([{ key: 'k', uploadId: 'u', initiated: '2026-11-20T01:02:03.000Z' }]);
});

it('Text survives escaping', () => {
  const text = `<a b="c" d='e'>&amp;</a>`;
  expect(textOf(`<x>${escapeXml(text)}</x>`, 'x')).toBe(text);
});
