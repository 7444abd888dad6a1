/** Pages as Markdown, which is also plain text to read, and as one HTML file that needs nothing else and prints well. */
import type { Block, Page } from './document.ts';

export function toMarkdown({ title, blocks }: Page): string {
  return `${[`# ${title}`, ...blocks.map(markdownOf)].join('\n\n')}\n`;
}

function markdownOf(block: Block): string {
  switch (block.kind) {
    case 'heading':
      return `## ${block.text}`;
    case 'text':
      return wrapped(block.text);
    case 'shell':
      return `\`\`\`sh\n${block.text}\n\`\`\``;
    case 'facts':
      return block.rows.map(([name, value]) => `- ${name}: ${value}`).join('\n');
    case 'blank':
      return `${block.label}:\n\n    ${'_'.repeat(70)}`;
  }
}

/** At most 100 columns, so that it prints as it is. */
function wrapped(text: string): string {
  return text.replace(/(?=.{101})(.{1,100})(?: +|$)/g, '$1\n').trimEnd();
}

const style = `
body { font: 11pt/1.45 Georgia, serif; max-width: 46em; margin: 2em auto; padding: 0 1em; color: #111; background: #fff }
h1 { font-size: 1.6em; border-bottom: 2px solid #111 } h2 { font-size: 1.15em; margin-top: 1.6em; break-after: avoid }
pre { font: 9.5pt/1.5 ui-monospace, Menlo, Consolas, monospace; background: #f3f3f0; border: 1px solid #bbb; padding: .6em .8em;
  white-space: pre-wrap; overflow-wrap: anywhere; break-inside: avoid }
table { border-collapse: collapse } td, th { text-align: left; vertical-align: top; padding: .15em 1em .15em 0; overflow-wrap: anywhere }
th { font-weight: normal; color: #555; white-space: nowrap }
.blank { border-bottom: 1px solid #111; height: 2.6em; margin-bottom: 1em }
@media print { body { margin: 0; max-width: none } pre { background: none } }
`;

export function toHtml({ title, blocks }: Page): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<style>${style}</style>
</head>
<body>
<h1>${escaped(title)}</h1>
${blocks.map(htmlOf).join('\n')}
</body>
</html>
`;
}

function htmlOf(block: Block): string {
  switch (block.kind) {
    case 'heading':
      return `<h2>${escaped(block.text)}</h2>`;
    case 'text':
      return `<p>${escaped(block.text)}</p>`;
    case 'shell':
      return `<pre>${escaped(block.text)}</pre>`;
    case 'facts':
      return `<table>${block.rows.map(([name, value]) => `<tr><th>${escaped(name)}</th><td>${escaped(value)}</td></tr>`).join('')}</table>`;
    case 'blank':
      return `<p>${escaped(block.label)}:</p><div class="blank"></div>`;
  }
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
