import { expect, test } from 'vitest';
import { XmlError } from '../../protocols/xml/reader.ts';
import { readBlobPage } from './listing.ts';

const page = (blobs: string, marker: string): string =>
  `\ufeff<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="https://a/" ContainerName="c"><Prefix>p/</Prefix><Blobs>${blobs}</Blobs>${marker}</EnumerationResults>`;
const blob = (name: string, size: number | string): string =>
  `<Blob><Name>${name}</Name><Properties><Etag>0x1</Etag><Content-Length>${size}</Content-Length></Properties><OrMetadata /></Blob>`;

test('a page has its blobs, and where the next one begins', () => {
  const xml = page(blob('p/a&amp;b', 5) + blob('p/c', 0), '<NextMarker>2!80!x</NextMarker>');
  expect(readBlobPage(xml)).toEqual({
    blobs: [
      { name: 'p/a&b', sizeBytes: 5 },
      { name: 'p/c', sizeBytes: 0 },
    ],
    next: '2!80!x',
  });
  expect(readBlobPage(page('', '<NextMarker />'))).toEqual({ blobs: [], next: undefined });
});

test('a blob without name or size is an error, not left out; so is another document', () => {
  for (const xml of [
    page(blob('x', ''), '').replace('<Name>x</Name>', ''),
    page(blob('x', 'many'), ''),
    page(blob('x', ''), ''),
    '<html/>',
  ]) {
    expect(() => readBlobPage(xml)).toThrow(XmlError);
  }
});
