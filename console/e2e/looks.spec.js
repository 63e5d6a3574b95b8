// In the dark, in the light and on a phone: usable by everybody, as far as a
// program can tell.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { container, expect, file, id, push, row, signIn, test, url } from './harness.js';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

// The checker is a script from elsewhere; the page's policy holds in every other test.
test.use({ bypassCSP: true });

async function check(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  expect(violations.map((v) => [v.id, v.nodes.map((n) => `${n.html.slice(0, 160)}: ${n.failureSummary}`)])).toEqual([]);
}

const looks = {
  'dark desktop': { colorScheme: 'dark', viewport: { width: 1440, height: 900 } },
  'light desktop': { colorScheme: 'light', viewport: { width: 1440, height: 900 } },
  'dark phone': { colorScheme: 'dark', viewport: { width: 390, height: 844 }, hasTouch: true },
  'light phone': { colorScheme: 'light', viewport: { width: 390, height: 844 }, hasTouch: true },
};

for (const [name, use] of Object.entries(looks)) {
  test.describe(name, () => {
    test.use(use);
    test('is accessible everywhere', async ({ page }, info) => {
      await page.goto(url);
      await expect(page.getByRole('dialog', { name: 'Sign in' })).toBeVisible();
      await check(page);
      await push({ [file('looks', 'seen')]: container('seen', '  state: Stopped\n') }, 'Run what is looked at');
      await signIn(page);
      await expect(row(page, id('looks', 'seen'))).toContainText('stopped');
      await check(page);
      await info.attach('list', { body: await page.screenshot(), contentType: 'image/png' });
      for (const tab of ['overview', 'history', 'objects', 'events', 'logs', 'terminal']) {
        await page.goto(`${url}/#/c/${id('shop', 'api')}/${tab}`);
        await expect(page.getByRole('tab', { selected: true })).toHaveText(new RegExp(tab, 'i'));
        await page.waitForLoadState('networkidle');
        await check(page);
      }
      const { scrollWidth, clientWidth } = await page.evaluate(() => ({ scrollWidth: document.documentElement.scrollWidth, clientWidth: document.documentElement.clientWidth }));
      expect(scrollWidth).toBeLessThanOrEqual(clientWidth);
      await page.goto(`${url}/#/`);
      await page.keyboard.press('c');
      await page.getByLabel('Name').fill('Bad_Name');
      await page.getByLabel('Image').fill('x');
      await expect(page.locator('[data-field=name] .finding')).toBeVisible();
      await check(page);
      await page.keyboard.press('Escape');
      await page.keyboard.press('t');
      await expect(page.getByRole('dialog')).toBeVisible();
      await check(page);
      await page.keyboard.press('Escape');
      await page.keyboard.press('?');
      await check(page);
    });
  });
}

test('the theme can be chosen and stays', async ({ page }) => {
  await signIn(page);
  const scheme = () => page.evaluate(() => getComputedStyle(document.documentElement).colorScheme);
  await page.getByRole('button', { name: 'Theme: system' }).click();
  expect(await scheme()).toBe('light');
  await page.getByRole('button', { name: 'Theme: light' }).click();
  expect(await scheme()).toBe('dark');
  await page.reload();
  await expect(page.getByRole('button', { name: 'Theme: dark' })).toBeVisible();
  expect(await scheme()).toBe('dark');
});
