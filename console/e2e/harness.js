// What every test in the browser needs: the server, what may be asked for beside
// it, and a page that is watched for what must never happen.
import { test as base, expect } from '@playwright/test';

export { expect };

export const url = process.env.CONSOLE_URL;
export const user = process.env.CONSOLE_USER;
export const assets = process.env.CONSOLE_ASSETS;

// order has the Go side do something: see obey in cmd/bay/console_e2e_test.go.
export async function order(what) {
  const response = await fetch(process.env.CONSOLE_CONTROL, { method: 'POST', body: JSON.stringify(what) });
  if (!response.ok) throw new Error(await response.text());
  return response.text();
}

// id is the id of a container of the user.
export const id = (space, name) => (space === name ? `${user}--${space}` : `${user}--${space}--${name}`);

export const file = (space, name) => `users/${user}/${space}/${name}.yaml`;

// container is the YAML of a small container.
export const container = (name, more = '') => `apiVersion: bayplan.dev/v1
kind: Container
metadata:
  name: ${name}
spec:
  image: registry.example.com/app:1.0
  ports:
    - containerPort: 8080
${more}`;

export const push = (files, message) => order({ do: 'push', files, message });

export const test = base.extend({
  // allow takes patterns of what the browser may complain about in this test.
  allow: async ({}, use) => {
    const patterns = [/the server responded with a status of (401|404|409|422)/];
    await use(Object.assign((...more) => { patterns.push(...more); }, { patterns }));
  },
  // watched fails a test in which the page complains, breaks its policy or asks
  // anybody else.
  watched: [async ({ page, allow }, use) => {
    const complaints = [];
    page.on('console', (m) => { if (m.type() === 'error' || m.type() === 'warning') complaints.push(m.text()); });
    page.on('pageerror', (err) => complaints.push(err.stack || err.message));
    page.on('request', (r) => { if (!r.url().startsWith(`${url}/`) && !r.url().startsWith('data:')) complaints.push(`request to ${r.url()}`); });
    page.on('websocket', (ws) => { if (!ws.url().startsWith(`${url.replace('http', 'ws')}/`)) complaints.push(`WebSocket to ${ws.url()}`); });
    await page.addInitScript(() => addEventListener('securitypolicyviolation', (e) => console.error(`policy violated: ${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`)));
    await use();
    expect(complaints.filter((c) => !allow.patterns.some((p) => p.test(c)))).toEqual([]);
  }, { auto: true }],
});

// signIn opens the page by a link, as `bay open` does.
export async function signIn(page, as = 'user') {
  await page.goto(await order({ do: 'open', as }));
  await expect(page.locator('.connection')).toHaveText('live');
}

// open signs in and opens a container.
export async function open(page, container, tab = 'overview', as = 'user') {
  await signIn(page, as);
  await page.goto(`${url}/#/c/${container}/${tab}`);
  await expect(page.getByRole('heading', { name: container, exact: true })).toBeVisible();
}

// row is a container's row in the list.
export const row = (page, container) => page.locator(`[role=row][data-id="${container}"]`);

// card is what follows a change.
export const card = (page, words) => page.getByRole('article', { name: words });
