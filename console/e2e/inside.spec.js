// In a real container: what it writes, and a terminal.
import { expect, id, open, test } from './harness.js';

const it = id('web', 'web');

test('the log is followed, paused and filtered', async ({ page }) => {
  await open(page, it, 'logs');
  const lines = page.getByRole('log').locator('.line');
  await expect(lines.filter({ hasText: /^\S*line 3$/ })).toHaveCount(1);
  await page.getByRole('button', { name: 'Pause' }).click();
  await expect(page.locator('.logs [role=status]')).toContainText(/lines? wait/);
  const paused = await lines.count();
  await page.waitForTimeout(1000);
  expect(await lines.count()).toBe(paused);
  await page.getByRole('button', { name: 'Go on' }).click();
  await expect.poll(() => lines.count()).toBeGreaterThan(paused);
  await page.getByLabel('Only lines with').fill('line 3');
  for (const text of await page.getByRole('log').locator('.line:visible span').allTextContents()) expect(text).toContain('line 3');
  // A reader who has scrolled up stays there.
  await page.getByLabel('Only lines with').fill('');
  await expect.poll(() => page.getByRole('log').evaluate((log) => log.scrollHeight - log.clientHeight), { timeout: 30_000 }).toBeGreaterThan(200);
  await page.getByRole('log').evaluate((log) => { log.scrollTop = 0; });
  await page.waitForTimeout(800);
  expect(await page.getByRole('log').evaluate((log) => log.scrollTop)).toBe(0);
});

test('what it uses and its events are shown', async ({ page }) => {
  await open(page, it);
  await expect(page.getByLabel('What it uses')).toContainText('Memory', { timeout: 60_000 });
  await page.keyboard.press('4');
  await expect(page.getByRole('cell', { name: 'Started', exact: true })).toBeVisible();
});

test('a terminal runs commands, follows the window, says how it ended and runs again', async ({ page }) => {
  await open(page, it, 'terminal');
  await expect(page.locator('.terminal-tab [role=status]')).toHaveText('Connected.');
  const screen = page.locator('.xterm-rows');
  await page.keyboard.type('echo $((6*7)) && stty size\n');
  await expect(screen).toContainText('42');
  const size = async () => {
    const found = [...(await screen.innerText()).matchAll(/^(\d+) (\d+)\s*$/gm)];
    return found.length > 0 ? found.at(-1).slice(1, 3).map(Number) : [0, 0];
  };
  await expect.poll(async () => (await size())[1]).toBeGreaterThan(40);
  const before = await size();
  await page.setViewportSize({ width: 1100, height: 600 });
  await expect.poll(async () => {
    await page.keyboard.type('stty size\n');
    return (await size())[0];
  }, { intervals: [1000] }).toBeLessThan(before[0]);
  await page.keyboard.press('Shift+Escape');
  await expect(page.getByLabel('Command', { exact: true })).toBeFocused();
  await page.locator('.xterm-screen').click();
  await page.keyboard.type('exit 7\n');
  await expect(page.locator('.terminal-tab [role=status]')).toHaveText('Ended with the exit code 7.');
  await page.keyboard.press('Enter');
  await expect(page.locator('.terminal-tab [role=status]')).toHaveText('Connected.');
  await page.keyboard.type('echo again\n');
  await expect(screen).toContainText('again');
});

test('a command that does not exist says so', async ({ page }) => {
  await open(page, it, 'terminal');
  await expect(page.locator('.terminal-tab [role=status]')).toHaveText('Connected.');
  await page.getByLabel('Command', { exact: true }).fill('no-such-program');
  await page.getByLabel('Command', { exact: true }).press('Enter');
  await expect(page.locator('.terminal-tab [role=status]')).toContainText('no-such-program');
});
