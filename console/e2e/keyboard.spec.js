// Everything without a mouse.
import { card, container, expect, file, id, push, row, signIn, test } from './harness.js';

test('create and delete with keys alone', async ({ page }) => {
  const it = id('typing', 'typed');
  await push({ [file('typing', 'other')]: container('other', '  state: Stopped\n') }, 'Another one');
  await signIn(page);
  const type = (text) => page.keyboard.type(text);
  const press = (key) => page.keyboard.press(key);
  const focused = () => page.evaluate(() => document.activeElement.name || document.activeElement.textContent);
  const to = async (name) => {
    for (let i = 0; i < 40 && await focused() !== name; i++) await press('Tab');
    expect(await focused()).toBe(name);
  };
  await press('c');
  await expect(page.getByRole('dialog', { name: 'Create a container' })).toBeVisible();
  expect(await focused()).toBe('name');
  await type('typed');
  await press('Shift+Tab');
  await type('typing');
  await to('image');
  await type('registry.example.com/app:1.0');
  await press('Enter');
  await expect(card(page, `Create ${it}`)).toHaveAttribute('data-state', 'ready');
  await expect(row(page, it)).toContainText('running');

  await press('/');
  await type('space:typing name:typed');
  await press('Enter');
  await press('Home');
  await press('j');
  await press('Enter');
  await expect(page.getByRole('heading', { name: it })).toBeFocused();
  await press('2');
  await expect(page.getByRole('tab', { name: 'History' })).toHaveAttribute('aria-selected', 'true');
  await press('d');
  await expect(page.getByRole('dialog', { name: `Delete ${it}` })).toBeVisible();
  await type('typed');
  await press('Enter');
  await expect(card(page, `Delete ${it}`)).toHaveAttribute('data-state', 'ready');
  await press('Escape');
  await expect(page.locator('#detail')).toBeHidden();
  // Nothing is left that the filter finds.
  await expect(page.getByLabel('Filter containers')).toBeFocused();
  await press('Escape');
  await press('Escape');
  await expect(page.getByRole('treegrid')).toBeFocused();
});

test('headings close and open, the filter is left with Escape', async ({ page }) => {
  await signIn(page);
  const grid = page.getByRole('treegrid', { name: 'Containers' });
  await page.keyboard.press('j');
  await expect(grid).toBeFocused();
  await page.keyboard.press('/');
  await page.keyboard.type('space:shop');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  await expect(grid).toBeFocused();
  await page.keyboard.press('End');
  await page.keyboard.press('Home');
  const count = () => grid.getAttribute('aria-rowcount').then(Number);
  const before = await count();
  await page.keyboard.press('ArrowLeft');
  expect(await count()).toBeLessThan(before);
  await page.keyboard.press('ArrowRight');
  expect(await count()).toBe(before);
});

test('letters alone can be turned off', async ({ page }) => {
  await signIn(page);
  await page.keyboard.press('?');
  await page.getByLabel('Letters alone').uncheck();
  await page.keyboard.press('Escape');
  await page.keyboard.press('c');
  await expect(page.getByRole('dialog')).toHaveCount(0);
});
