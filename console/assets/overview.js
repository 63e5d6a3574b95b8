// What a container is to be, and what holds it up.

import { copyable, fill, h, icon } from './dom.js';
import { age, bytes, moment } from './format.js';

const every = 5000; // ms between measurements

export function overviewTab(context) {
  const conditions = h('section', { 'aria-label': 'Conditions' });
  const facts = h('section', { 'aria-label': 'What is wanted' });
  const usage = h('section', { 'aria-label': 'What it uses', hidden: true });
  const element = h('div', { class: 'stack wide' }, conditions, usage, facts);
  let ssh = null;
  let timer = 0;
  let drawn = '';

  async function measure() {
    const c = context.live();
    if (!c || !['running', 'unready', 'starting'].includes(c.phase) || c.simulated || document.hidden) {
      usage.hidden = usage.hidden || !c || c.phase === 'stopped';
      return;
    }
    try {
      const { body } = await context.api.get(['compute', 'containers', context.id, 'metrics'], {}, { signal: context.signal });
      drawUsage(usage, body);
    } catch {
      usage.hidden = true; // what nobody measures isn't shown
    }
  }

  async function readSSH() {
    try {
      ssh = (await context.api.get(['compute', 'containers', context.id, 'ssh'], {}, { signal: context.signal })).body;
      drawn = '';
      update();
    } catch {
      ssh = null; // no gateway, or gone
    }
  }

  function update() {
    const live = context.live();
    const container = context.container();
    const now = JSON.stringify([live?.conditions, container, ssh]);
    if (now === drawn) return;
    drawn = now;
    fill(conditions, drawConditions(live?.conditions ?? container?.conditions ?? []));
    fill(facts, container ? drawFacts(container, ssh) : null);
  }

  update();
  measure();
  readSSH();
  timer = setInterval(measure, every);
  return { element, update, close: () => clearInterval(timer) };
}

function drawConditions(conditions) {
  if (conditions.length === 0) return null;
  return [h('h2', {}, 'Conditions'), h('div', { class: 'scroll-x', tabindex: '0', role: 'group', 'aria-label': 'Table' }, h('table', { class: 'table conditions' },
    h('thead', {}, h('tr', {}, ['Condition', 'Status', 'Why', 'For'].map((name) => h('th', { scope: 'col' }, name)))),
    h('tbody', {}, conditions.map((c) => {
      const bad = c.type === 'Expired' ? c.status === 'True' : c.status === 'False';
      const shape = c.status === 'Unknown' ? 'pending' : bad ? 'unready' : 'running';
      return h('tr', {},
        h('th', { scope: 'row' }, c.type),
        h('td', { class: c.status === 'Unknown' ? 'idle' : bad ? 'warn' : 'good' }, h('span', { class: 'phase' }, icon(shape), c.status)),
        h('td', {}, c.reason && h('strong', {}, c.reason), c.reason && c.message && ' ', c.message),
        h('td', { title: moment(c.lastTransitionTime) }, age(Date.parse(c.lastTransitionTime))));
    }))))];
}

function drawUsage(root, m) {
  const meters = [];
  if (m.cpu) meters.push(meter('CPU', m.cpu.usage_cores, m.cpu.limit_cores, (n) => `${n < 0.1 ? `${Math.round(n * 1000)}m` : n.toFixed(2)}`));
  if (m.memory) meters.push(meter('Memory', m.memory.working_set_bytes, m.memory.limit_bytes, bytes));
  if (m.storage) meters.push(meter('Disk', m.storage.ephemeral_bytes, m.storage.limit_bytes, bytes));
  for (const v of m.storage?.volumes ?? []) meters.push(meter(`Volume ${v.name}`, v.used_bytes, v.capacity_bytes, bytes));
  if (m.network) meters.push(h('div', { class: 'meter' }, h('span', {}, 'Network'), h('span', {}, `${bytes(m.network.received_bytes)} in, ${bytes(m.network.sent_bytes)} out`)));
  root.hidden = meters.length === 0;
  fill(root, h('h2', {}, 'Uses now'), h('div', { class: 'meters' }, meters));
}

function meter(name, used, limit, say) {
  const words = limit ? `${say(used)} of ${say(limit)}` : say(used);
  return h('div', { class: 'meter' }, h('span', {}, name), h('span', {}, words),
    limit > 0 && h('meter', { min: '0', max: String(limit), high: String(limit * 0.9), optimum: '0', value: used, 'aria-label': `${name}: ${words}` }));
}

function drawFacts(c, ssh) {
  const spec = c.spec;
  if (!spec) return h('p', { class: 'note' }, 'Its file is gone; what is left of it is being deleted.');
  const rows = [
    ['Image', h('code', {}, spec.image)],
    ['Command', [...(spec.command ?? []), ...(spec.args ?? [])].length > 0 && h('code', {}, [...(spec.command ?? []), ...(spec.args ?? [])].join(' '))],
    ['From', spec.from && h('code', {}, spec.from)],
    ['Addresses', c.urls?.length > 0 && h('ul', { class: 'plain' }, c.urls.map((u) => h('li', {}, h('a', { href: u, rel: 'noreferrer noopener', target: '_blank' }, u))))],
    ['In its space', spec.ports?.length > 0 && h('code', {}, spec.ports.map((p) => `${c.name}:${p.containerPort}${p.name ? ` (${p.name})` : ''}`).join(', '))],
    ['Log in', ssh?.command && copyable(ssh.command, 'the ssh command')],
    ['Resources', amounts(spec.resources)],
    ['Volumes', spec.volumes?.length > 0 && h('code', {}, spec.volumes.map((v) => `${v.name} → ${v.mountPath}${v.readOnly ? ' (read only)' : ''}`).join(', '))],
    ['Variables', spec.env?.length > 0 && h('ul', { class: 'plain' }, spec.env.map((e) => h('li', {}, h('code', {}, `${e.name}=${e.value ?? (e.valueFrom ? `(secret ${e.valueFrom.secretKeyRef?.name})` : '')}`))))],
    ['Expires', spec.expiresAt && `${moment(spec.expiresAt)}${spec.expirePolicy === 'Delete' ? ', and is deleted then' : ''}`],
    ['File', c.source && h('code', {}, [c.source.file, c.source.line].filter(Boolean).join(':'))],
  ];
  return [h('h2', {}, 'Wanted'), h('dl', { class: 'facts' }, rows.filter(([, value]) => value).map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]))];
}

function amounts(resources) {
  const all = new Set([...Object.keys(resources?.requests ?? {}), ...Object.keys(resources?.limits ?? {})]);
  if (all.size === 0) return '';
  return [...all].map((name) => {
    const [asked, most] = [resources.requests?.[name], resources.limits?.[name]];
    return `${name} ${asked && most && asked !== most ? `${asked} to ${most}` : most ?? asked}`;
  }).join(', ');
}
