// The fleet, live: what others change, what one changes here, and what one must know.
import { card, container, expect, file, id, open, order, push, row, signIn, test, url, user } from './harness.js';

test('a push is seen without asking', async ({ page }) => {
  await signIn(page);
  await expect(row(page, id('shop', 'db'))).toContainText('stopped');
  const revision = await push({ [file('live', 'seen')]: container('seen') }, 'Run what is seen');
  await expect(row(page, id('live', 'seen'))).toContainText('running');
  await expect(row(page, id('live', 'seen'))).toContainText(revision.slice(0, 7));
  await push({ [file('live', 'seen')]: null }, 'Take it away');
  await expect(row(page, id('live', 'seen'))).toHaveCount(0);
});

test('a bad field has its finding beside it, a good form becomes a commit that is followed to ready', async ({ page }) => {
  await signIn(page);
  await page.getByRole('button', { name: 'Create' }).click();
  const dialog = page.getByRole('dialog', { name: 'Create a container' });
  await dialog.getByLabel('Space').fill('shop');
  await dialog.getByLabel('Name').fill('mailer');
  await dialog.getByLabel('Image').fill('registry.example.com/mailer:2');
  await dialog.getByLabel('Memory').fill('512MB');
  const memory = dialog.locator('[data-field=memory]');
  await expect(memory).toContainText('"512MB" is not a quantity');
  await expect(memory).toContainText('use 512Mi');
  await expect(dialog.getByLabel('Memory')).toHaveAttribute('aria-invalid', 'true');
  const before = await order({ do: 'head' });
  await dialog.getByRole('button', { name: 'Create', exact: true }).click();
  await expect(dialog.getByLabel('Memory')).toBeFocused();
  expect(await order({ do: 'head' })).toBe(before);

  await dialog.getByLabel('Memory').fill('128Mi');
  await dialog.getByLabel('Variables').fill('LOG_LEVEL=info');
  await expect(memory).not.toContainText('not a quantity');
  await expect(dialog.locator('.diff')).toContainText('image: registry.example.com/mailer:2');
  expect(await order({ do: 'head' })).toBe(before); // looking commits nothing
  await dialog.getByRole('button', { name: 'Create', exact: true }).click();
  await expect(dialog).toBeHidden();

  const made = card(page, `Create ${id('shop', 'mailer')}`);
  const head = await order({ do: 'head' });
  expect(head).toContain(`Create container ${id('shop', 'mailer')}`);
  await expect(made).toContainText(`Commit ${head.slice(0, 7)}`);
  await expect(made).toHaveAttribute('data-state', 'ready');
  await expect(row(page, id('shop', 'mailer'))).toContainText('running');
});

test('a name that is taken is refused in words', async ({ page }) => {
  await signIn(page);
  await page.keyboard.press('c');
  const dialog = page.getByRole('dialog', { name: 'Create a container' });
  await dialog.getByLabel('Space').fill('shop');
  await dialog.getByLabel('Name').fill('api');
  await dialog.getByLabel('Image').fill('registry.example.com/app:1');
  await expect(dialog.locator('.preview-side')).toContainText('exists already');
});

test('stop, start and delete are commits that are followed', async ({ page }) => {
  const it = id('shop', 'turn');
  await push({ [file('shop', 'turn')]: container('turn') }, 'Run what turns');
  await open(page, it);
  await expect(page.locator('.state-line')).toContainText('running');
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await expect(card(page, `Stop ${it}`)).toHaveAttribute('data-state', 'ready');
  await expect(page.locator('.state-line')).toContainText('stopped');
  await page.getByRole('button', { name: 'Start', exact: true }).click();
  await expect(card(page, `Start ${it}`)).toHaveAttribute('data-state', 'ready');
  await expect(page.locator('.state-line')).toContainText('running');

  await page.getByRole('button', { name: 'Delete …' }).click();
  const dialog = page.getByRole('dialog', { name: `Delete ${it}` });
  await expect(dialog.getByRole('list', { name: 'Cautions' })).toContainText('deleted');
  await expect(dialog).toContainText(file('shop', 'turn'));
  const go = dialog.getByRole('button', { name: 'Delete', exact: true });
  await dialog.getByLabel('Type').fill('tur');
  await expect(go).toBeDisabled();
  await dialog.getByLabel('Type').fill('turn');
  await go.click();
  await expect(card(page, `Delete ${it}`)).toHaveAttribute('data-state', 'ready');
  await expect(row(page, it)).toHaveCount(0);
  expect(await order({ do: 'states' })).not.toContain(it);
});

test('the history says what each commit changed, and leads back', async ({ page }) => {
  const it = id('shop', 'past');
  await push({ [file('shop', 'past')]: container('past', '  state: Stopped\n') }, 'Begin the past');
  await push({ [file('shop', 'past')]: container('past', '  state: Stopped\n').replace('app:1.0', 'app:2.0') }, 'Take version 2');
  await open(page, it, 'history');
  const entries = page.getByRole('list', { name: 'Commits' }).locator('.entry');
  await expect(entries).toHaveCount(2);
  await expect(entries.first()).toContainText('Take version 2');
  await expect(entries.first().locator('.fields li')).toHaveText(/changed: spec\.image registry\.example\.com\/app:1\.0 → registry\.example\.com\/app:2\.0/);
  await entries.last().getByRole('button', { name: 'Roll back' }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog).toContainText(file('shop', 'past'));
  await dialog.getByRole('button', { name: 'Roll back' }).click();
  await expect(card(page, `Rollback ${it}`)).toHaveAttribute('data-state', 'ready');
  await expect(entries.first()).toContainText(`Rollback container ${it}`);
});

test('the rendered objects can be read', async ({ page }) => {
  await open(page, id('shop', 'api'), 'objects');
  await expect(page.getByLabel('Deployment api')).toContainText('image: registry.example.com/app:1.0');
  await page.getByRole('button', { name: /^Namespace/ }).click();
  await expect(page.locator('.source')).toContainText(`name: compute-${user}--shop`);
});

test('on a simulated node the page says that there is no log and no terminal', async ({ page }) => {
  await open(page, id('shop', 'api'), 'logs');
  await expect(page.locator('.panel')).toContainText('Its node is simulated');
  await page.keyboard.press('6');
  await expect(page.locator('.panel')).toContainText('Its node is simulated');
});

test('a halt is shown with what it holds back, and goes on when an operator confirms it', async ({ page, browser }) => {
  const names = Array.from({ length: 8 }, (_, i) => `many-${'abcdefgh'[i]}`);
  const all = (text) => Object.fromEntries(names.map((n) => [file('many', n), text(n)]));
  await push(all((n) => container(n, '  state: Stopped\n')), 'Make many');
  await signIn(page);
  await expect(row(page, id('many', names[7]))).toContainText('stopped');
  await push(all(() => null), 'Delete too many');
  await expect(page.locator('.sync-chip')).toContainText('halted');
  await expect(page.locator('.banner.bad')).toContainText('Halted: One change would delete more than is usual.');
  await page.locator('.banner.bad').getByRole('button').click();
  const dialog = page.getByRole('dialog', { name: 'The sync: halted' });
  await expect(dialog.getByRole('list', { name: 'What is held back' })).toHaveText(id('many', 'many')); // the whole space
  await expect(dialog).toContainText('An operator has to confirm it');
  await page.keyboard.press('Escape');

  const office = await browser.newContext();
  const operator = await office.newPage();
  await signIn(operator, 'ops');
  await operator.keyboard.press('t');
  await operator.getByRole('button', { name: /^Confirm: delete/ }).click();
  await expect(operator.locator('.sync-chip')).toContainText('synced');
  await office.close();
  await expect(page.locator('.sync-chip')).toContainText('synced');
  await expect(page.locator('.banner.bad')).toBeHidden();
  await expect(row(page, id('many', names[0]))).toHaveCount(0);
});

test('a server that dies and comes back is told of, and nothing is missed', async ({ page, allow }) => {
  allow(/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|WebSocket connection/);
  await signIn(page);
  await order({ do: 'kill' });
  const banner = page.locator('.banner.lost');
  await expect(banner).toContainText(/Reconnecting …, what you see is of \d\d:\d\d:\d\d\./);
  await expect(row(page, id('shop', 'api'))).toBeVisible();
  await order({ do: 'start' });
  await expect(banner).toBeHidden({ timeout: 40_000 });
  await expect(page.locator('.connection')).toHaveText('live');
  await push({ [file('live', 'back')]: container('back') }, 'Run after the end');
  await expect(row(page, id('live', 'back'))).toContainText('running');
});

test('a container that is not ours does not exist', async ({ page }) => {
  await signIn(page);
  await page.goto(`${url}/#/c/somebody--else/overview`);
  await expect(page.locator('#detail')).toContainText('it isn’t yours');
});
