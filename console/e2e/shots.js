// Takes the pictures of docs/console.md: node shots.js LINK FOLDER, where LINK is
// what `bay open --print` says. The fleet should have alice--shop--api in it; a
// picture of a terminal needs a real node.
import { chromium } from '@playwright/test';

const [link, folder] = process.argv.slice(2);
const at = new URL(link).origin;
const desktop = { viewport: { width: 1360, height: 850 } };
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
});

// One sign-in is enough: the token goes from tab to tab by hand.
const first = await browser.newPage();
await first.goto(link);
await first.waitForSelector('.grid-row.container');
const token = await first.evaluate(() => sessionStorage.getItem('bayplan.token') ?? '');
await first.close();

async function shot(name, options, hash, act = async () => {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  await page.addInitScript((t) => { if (t) sessionStorage.setItem('bayplan.token', t); }, token);
  await page.goto(`${at}/${hash}`);
  await page.waitForSelector('.connection[data-state=live]');
  await page.waitForTimeout(1500);
  await act(page);
  await page.screenshot({ path: `${folder}/${name}.png` });
  await context.close();
}

const form = async (page) => {
  await page.keyboard.press('c');
  await page.getByLabel('Space').fill('shop');
  await page.getByLabel('Name').fill('mailer');
  await page.getByLabel('Image').fill('ghcr.io/acme/mailer:1.3.0');
  await page.getByLabel('Memory').fill('512MB');
  await page.getByLabel('Ports').fill('smtp:2525, 99999');
  await page.waitForTimeout(1500);
};

const type = async (page) => {
  await page.waitForFunction(() => document.querySelector('.terminal-tab [role=status]')?.textContent === 'Connected.');
  for (const line of ['ls /', 'uname -srm', 'wget -qO- localhost:8080']) {
    await page.keyboard.type(`${line}\n`);
    await page.waitForTimeout(700);
  }
};

const all = {
  'fleet-dark': [{ ...desktop, colorScheme: 'dark' }, '#/'],
  'container-light': [{ ...desktop, colorScheme: 'light' }, '#/c/alice--shop--api/history'],
  'create-light': [{ ...desktop, colorScheme: 'light' }, '#/', form],
  'phone-dark': [{ viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true, colorScheme: 'dark' }, '#/'],
  'terminal-dark': [{ ...desktop, colorScheme: 'dark' }, '#/c/alice--shop--api/terminal', type],
};
for (const [name, args] of Object.entries(all)) {
  if (!process.env.ONLY || process.env.ONLY.split(',').includes(name)) await shot(name, ...args);
}
await browser.close();
