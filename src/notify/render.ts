/** Texts of messages: escaped for where they go, and cut to what fits there. */
import type { Message, MessageItem } from './message.ts';
import { cleanLines, cut, formatTime, oneLine, titleOf } from './text.ts';

/** How a place writes what it shows. Everything but `escape` takes escaped text. */
export interface Markup {
  /** Makes text mean itself. */
  escape(raw: string): string;
  strong(text: string): string;
  link(label: string, url: string): string;
  /** Between lines and between paragraphs. Default: a line end, and an empty line. */
  readonly lineEnd?: string;
}

/** No markup at all. */
export const plain: Markup = { escape: (raw) => raw, strong: (text) => text, link: (_label, url) => url };

export interface Limit {
  readonly most: number;
  /** What counts; default: UTF-16 units. */
  readonly size?: (text: string) => number;
  /** The title stands elsewhere: a message of one event does not repeat it. */
  readonly titleElsewhere?: boolean;
}

/** Nothing shorter says anything. */
const leastItemLength = 40;

/**
 * The whole text of a message: what, when, why, what to do, and where to look. Where it is too long, long explanations are
 * cut first, then events are left out at the end, and the text says how many. Cut before it is escaped, so that no escape
 * is ever cut in two.
 */
export function render(message: Message, markup: Markup, limit: Limit): string {
  const size = limit.size ?? ((text: string) => text.length);
  const isMany = message.items.length * leastItemLength > limit.most;
  for (const most of isMany ? [] : [2000, 1400, 1000, 700, 400, 200, 80]) {
    const text = renderItems(message, markup, { most, count: message.items.length, limit });
    if (size(text) <= limit.most) return text;
  }
  let low = 0;
  let high = message.items.length;
  while (low < high) {
    const count = Math.ceil((low + high) / 2);
    if (size(renderItems(message, markup, { most: 80, count, limit })) <= limit.most) low = count;
    else high = count - 1;
  }
  return renderItems(message, markup, { most: 80, count: low, limit });
}

function renderItems(
  { items, link }: Message,
  markup: Markup,
  { most, count, limit }: { most: number; count: number; limit: Limit },
): string {
  const { escape: quote, lineEnd = '\n' } = markup;
  const isTitled = !(limit.titleElsewhere && items.length === 1);
  const shown = items.slice(0, count).map((item) => paragraph(item, markup, { most, isTitled }).join(lineEnd));
  if (count < items.length)
    shown.push(quote(count === 0 ? `${items.length} events` : `and ${items.length - count} more`));
  const linked = link === undefined ? '' : markup.link(quote('Open in Holdfast'), link);
  if (linked !== '') shown.push(linked);
  return shown.join(lineEnd + lineEnd);
}

function paragraph(
  item: MessageItem,
  markup: Markup,
  { most, isTitled }: { most: number; isTitled: boolean },
): string[] {
  const { event } = item;
  const { escape: quote, strong, lineEnd = '\n' } = markup;
  const lines = isTitled ? [strong(quote(cut(titleOf(item), Math.min(most, 250))))] : [];
  const add = (raw: string | undefined, before = ''): void => {
    const text = raw === undefined ? '' : cut(cleanLines(raw), most);
    if (text !== '') lines.push(`${before}${text.split('\n').map(quote).join(lineEnd)}`);
  };
  if (event.message !== undefined && oneLine(event.message) !== oneLine(event.title)) add(event.message);
  add(event.remedy, `${strong(quote('What to do:'))} `);
  add(factsOf(item));
  return lines;
}

/** `source shop · repository nas · policy nightly · run 01K… · storage.unreachable · 2026-11-21 03:00 UTC`. */
function factsOf({ event }: MessageItem): string {
  const { source, repository, policy, run, errorCode, atMs } = event;
  return [
    source && `source ${source}`,
    repository && `repository ${repository}`,
    policy && `policy ${policy}`,
    run && `run ${run}`,
    errorCode,
    formatTime(atMs),
  ]
    .filter((one) => one)
    .join(' · ');
}
