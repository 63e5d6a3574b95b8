// The modules that only compute, as the browser has them.
import { expect, signIn, test } from './harness.js';

test('what is typed becomes a spec, and findings find their fields', async ({ page }) => {
  await signIn(page);
  const got = await page.evaluate(async () => {
    const base = document.querySelector('script[type=module]').src;
    const { beside, build } = await import(new URL('fields.js', base));
    return {
      body: build({
        name: 'api', space: 'shop', image: 'app:1', command: 'sh -c "echo hello"', ports: 'http:8080, 53/udp, x', ingress: '443', target: '8080',
        cpu: '1', memory: '64Mi', env: 'A=1=2\nB', volumes: 'data:/d', ttl: '8h', more: '{"resources": {"limits": {"cpu": null}}, "state": "Stopped"}',
      }),
      found: Object.fromEntries(Object.entries(beside([
        { pointer: '/spec/resources/limits/memory', message: 'm' }, { pointer: '/spec/ingress/0/targetPort', message: 't' },
        { pointer: '/spec/ingress/0', message: 'i' }, { pointer: '/spec/portsx', message: 'p' }, { message: 'none' },
      ])).map(([name, all]) => [name, all.map((e) => e.message)])),
    };
  });
  expect(got.body).toEqual({
    name: 'api', space: 'shop', ttl: '8h',
    spec: {
      image: 'app:1', command: ['sh', '-c', 'echo hello'],
      ports: [{ name: 'http', containerPort: 8080 }, { containerPort: 53, protocol: 'UDP' }, { containerPort: 'x' }],
      ingress: [{ port: 443, targetPort: 8080 }], resources: { limits: { memory: '64Mi' } },
      env: [{ name: 'A', value: '1=2' }, { name: 'B' }], volumes: [{ name: 'data', mountPath: '/d' }], state: 'Stopped',
    },
  });
  expect(got.found).toEqual({ memory: ['m'], target: ['t'], ingress: ['i'], '': ['p', 'none'] });
});

test('words and fields filter, headings group', async ({ page }) => {
  await signIn(page);
  const got = await page.evaluate(async () => {
    const base = document.querySelector('script[type=module]').src;
    const { order, parse, rows } = await import(new URL('filter.js', base));
    const { Store } = await import(new URL('store.js', base));
    const store = new Store((f) => f());
    store.apply({ type: 'containers', data: ['bob--web', 'alice--shop--api', 'alice--shop--db', 'alice--shop'].map((container_id, i) => ({ container_id, status: i % 2 ? 'failed' : 'running', conditions: [] })) });
    const list = (typed, more) => rows(store.containers, order(store.containers), { words: parse(typed), ...more }).list.map((r) => r.id ?? `# ${r.heading}`);
    return [list(''), list('user:alice d'), list('state:failed', { group: 'state' }), list('', { closed: new Set(['alice/shop']) }), list('shop', { group: 'none', states: new Set(['running']) })];
  });
  expect(got).toEqual([
    ['# alice/shop', 'alice--shop--api', 'alice--shop--db', 'alice--shop', '# bob/web', 'bob--web'],
    ['# alice/shop', 'alice--shop--api', 'alice--shop--db', 'alice--shop'],
    ['# failed', 'alice--shop--api', 'alice--shop'],
    ['# alice/shop', '# bob/web', 'bob--web'],
    ['alice--shop--db'],
  ]);
});

test('JSON reads as YAML', async ({ page }) => {
  await signIn(page);
  const got = await page.evaluate(async () => {
    const { yaml } = await import(new URL('yaml.js', document.querySelector('script[type=module]').src));
    return yaml({ a: 'yes', b: ['x: y', { c: 1, d: [] }], e: {}, f: 'one\ntwo\n', g: 'nginx:1.2', h: '08', i: null, j: '' });
  });
  expect(got).toBe('a: "yes"\nb:\n- "x: y"\n- c: 1\n  d: []\ne: {}\nf: |\n  one\n  two\ng: nginx:1.2\nh: "08"\ni: null\nj: ""\n');
});
