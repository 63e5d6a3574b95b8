// Who reads the page: a code in the link, a pasted token, and a sign-in that ends.
import { expect, id, order, row, signIn, test, url, user } from './harness.js';

test('a code signs in once, and leaves no trace in the address', async ({ page, context, allow }) => {
  allow(/401/);
  const link = await order({ do: 'open' });
  await page.goto(link);
  await expect(page.locator('.who')).toContainText(user);
  expect(page.url()).not.toContain('code');
  expect(await page.evaluate(() => document.cookie)).toBe('');
  await expect(row(page, id('shop', 'api'))).toBeVisible();
  await page.reload();
  await expect(row(page, id('shop', 'api'))).toBeVisible(); // the tab remembers
  const again = await context.newPage();
  await again.goto(link);
  await expect(again.getByRole('dialog')).toContainText('used already or is too old');
  expect(again.url()).not.toContain('code');
});

test('a token can be pasted, and so can the link', async ({ page }) => {
  await page.goto(url);
  const dialog = page.getByRole('dialog', { name: 'Sign in' });
  await dialog.getByLabel('paste').fill('nonsense');
  await dialog.getByRole('button', { name: 'Sign in' }).click();
  await expect(dialog.getByRole('alert')).toContainText('doesn’t know it');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  await expect(dialog).toBeVisible();
  await dialog.getByLabel('paste').fill(await order({ do: 'open' }));
  await dialog.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.locator('.connection')).toHaveText('live');
});

test('what was typed outlives a sign-in that ends', async ({ page, context }) => {
  await signIn(page);
  await page.keyboard.press('c');
  await page.getByLabel('Name').fill('kept');
  await page.getByLabel('Image').fill('registry.example.com/app:1.0');
  await order({ do: 'revoke' });
  await expect(page.getByRole('dialog', { name: 'Sign in' })).toContainText('What you typed is still here');
  await order({ do: 'grant' });
  // bay open makes a new tab; this one goes on by itself.
  await expect(async () => {
    const other = await context.newPage();
    await other.goto(await order({ do: 'open' }));
    await expect(other.locator('.connection')).toHaveText('live', { timeout: 5000 });
    await other.close();
  }).toPass();
  await expect(page.getByRole('dialog', { name: 'Sign in' })).toBeHidden();
  await expect(page.getByLabel('Name')).toHaveValue('kept');
  await expect(page.locator('.connection')).toHaveText('live');
});

test('signing out forgets the token', async ({ page }) => {
  await signIn(page);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page.getByRole('dialog', { name: 'Sign in' })).toBeVisible();
  expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
});
