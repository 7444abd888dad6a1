import { expect, test } from 'vitest';
import { XmlError } from '../../protocols/xml/reader.ts';
import { readMembers } from './multistatus.ts';

const good = (href: string, inside: string): string =>
  `<D:response><D:href>${href}</D:href><D:propstat><D:prop>${inside}</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>`;
const all = (...responses: string[]): string =>
  `<?xml version="1.0"?><D:multistatus xmlns:D="DAV:" xmlns:lp1="DAV:">${responses.join('\n')}</D:multistatus>`;
const folder = '<lp1:resourcetype><D:collection/></lp1:resourcetype>';
const file = (size: number | string): string =>
  `<lp1:resourcetype/><lp1:getcontentlength>${size}</lp1:getcontentlength><lp1:getlastmodified>Sat, 21 Nov 2026 14:05:26 GMT</lp1:getlastmodified>`;

test('members of a folder are read with their sizes; the folder itself is none of them', () => {
  const xml = all(
    good('/dav/a%20b/', folder),
    good('http://nas/dav/a%20b/x', file(12)),
    good('/dav/a%20b/sub/', folder),
  );
  expect(readMembers(xml)).toEqual([
    { name: 'x', isFolder: false, sizeBytes: 12, modified: 'Sat, 21 Nov 2026 14:05:26 GMT' },
    { name: 'sub', isFolder: true, sizeBytes: 0, modified: undefined },
  ]);
  expect(readMembers(all(good('/dav/', folder)))).toEqual([]);
});

test('what was removed while the list was made is left out', () => {
  const gone = '<D:response><D:href>/dav/y</D:href><D:status>HTTP/1.1 404 Not Found</D:status></D:response>';
  expect(readMembers(all(good('/dav/', folder), gone))).toEqual([]);
});

test.each([
  ['no size', all(good('/dav/', folder), good('/dav/x', '<lp1:resourcetype/>'))],
  ['a size that is none', all(good('/dav/', folder), good('/dav/x', file('many')))],
  ['another folder’s', all(good('/dav/', folder), good('/other/x', file(1)))],
  ['no folder', all()],
  ['cut off', all(good('/dav/', folder)).slice(0, -20)],
])('an answer with an entry that cannot be read is refused, not shortened: %s', (_, xml) => {
  expect(() => readMembers(xml)).toThrow(XmlError);
});
