// Ten thousand containers. The page is the real one; its stream is made here,
// since a cluster of that size takes longer than a test should.
import { expect, signIn, test } from './harness.js';

const many = 10_000;

function status(n, phase = 'running') {
  const [user, space, name] = [`user${String.fromCharCode(97 + n % 26)}`, `space-${Math.floor(n / 10)}`, `container-${n}`];
  return {
    container_id: `${user}--${space}--${name}`, status: phase, revision: n.toString(16).padStart(40, '0'),
    conditions: ['Valid', 'Applied', 'PodReady', 'Available'].map((type) => ({ type, status: 'True', lastTransitionTime: '2026-11-21T10:00:00Z' })),
  };
}

test('10,000 containers are listed, filtered and changed without making anybody wait', async ({ page }) => {
  let stream;
  let seq = 1;
  await page.routeWebSocket(/\/compute\/ws/, (ws) => {
    stream = ws;
    ws.send(JSON.stringify({ type: 'containers', seq, data: Array.from({ length: many }, (_, n) => status(n)) }));
  });
  await signIn(page);
  const grid = page.getByRole('treegrid');
  await expect(page.locator('.chip').first()).toContainText('10,000');
  const rows = Number(await grid.getAttribute('aria-rowcount'));
  expect(rows).toBeGreaterThan(many);
  expect(await grid.getByRole('row').count()).toBeLessThan(120);

  // While frames come in by the thousand, no picture is late.
  await page.evaluate(() => {
    globalThis.gaps = [];
    let last = performance.now();
    const next = () => {
      const now = performance.now();
      globalThis.gaps.push(now - last);
      last = now;
      globalThis.measuring = requestAnimationFrame(next);
    };
    next();
  });
  for (let n = 0; n < 3000; n++) stream.send(JSON.stringify({ type: 'container_status', seq: ++seq, data: status(n, n % 3 ? 'starting' : 'failed') }));
  await expect(page.locator('.chip[data-phase=failed]')).toContainText('1,000');
  await page.keyboard.press('/');
  await page.keyboard.type('container-77 ');
  await expect(grid).toHaveAttribute('aria-rowcount', /^\d{2,3}$/);
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  await page.keyboard.press('End');
  await expect(grid.locator('.active')).toBeVisible();
  await expect(grid).toHaveAttribute('aria-rowcount', String(rows));
  const gaps = await page.evaluate(() => { cancelAnimationFrame(globalThis.measuring); return globalThis.gaps; });
  expect(Math.max(...gaps)).toBeLessThan(400);

  stream.send(JSON.stringify({ type: 'container_deleted', seq: ++seq, data: { container_id: status(9999).container_id } }));
  await expect(page.locator('.chip').first()).toContainText('9,999');
});
