// split takes words apart as a shell does with quotes, and nothing else of it.
export function split(line) {
  const words = line.match(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g) ?? [];
  return words.map((w) => w.replace(/"([^"]*)"|'([^']*)'/g, (_, a, b) => a ?? b));
}
