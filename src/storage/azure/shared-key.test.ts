import { expect, test } from 'vitest';
import { textToSign } from './shared-key.ts';

// The example of Microsoft's «Authorize with Shared Key», for Get Container Metadata, with a header of each kind besides.
test('what is signed is the request, its headers in their order, and the resource with its query', () => {
  const request = { method: 'GET', path: '/mycontainer', query: { restype: 'container', comp: 'metadata' } } as const;
  const headers = { 'x-ms-version': '2015-02-21', 'x-ms-date': 'Fri, 26 Jun 2015 23:39:12 GMT' };
  expect(textToSign('myaccount', request, headers)).toBe(
    'GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n/myaccount/mycontainer\ncomp:metadata\nrestype:container',
  );
  const put = { method: 'PUT', path: '/c/b', body: [new Uint8Array(5), new Uint8Array(6)] } as const;
  expect(textToSign('a', put, { 'if-none-match': '*', 'content-type': 't' })).toBe(
    'PUT\n\n\n11\n\nt\n\n\n\n*\n\n\n/a/c/b',
  );
});
