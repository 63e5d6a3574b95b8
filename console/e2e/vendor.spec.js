// What others have written is as they have published it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { assets, expect, test } from './harness.js';

const files = {
  'xterm.mjs': '@xterm/xterm/lib/xterm.mjs',
  'xterm.css': '@xterm/xterm/css/xterm.css',
  'addon-fit.mjs': '@xterm/addon-fit/lib/addon-fit.mjs',
  'LICENSE-xterm': '@xterm/xterm/LICENSE',
  'LICENSE-addon-fit': '@xterm/addon-fit/LICENSE',
};

test('the vendored files are those of the packages that are pinned by hash', () => {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
  const readme = readFileSync(join(assets, 'vendor/README.md'), 'utf8');
  for (const [ours, theirs] of Object.entries(files)) {
    const name = theirs.split('/').slice(0, 2).join('/');
    const pinned = packages[`node_modules/${name}`];
    expect(pinned.integrity).toMatch(/^sha512-/); // npm ci has checked it
    expect(readme).toContain(`\`${name}\` ${pinned.version}`);
    expect(readFileSync(join(assets, 'vendor', ours)).equals(readFileSync(join('node_modules', theirs))), ours).toBe(true);
  }
});
