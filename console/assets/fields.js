// The fields of the form, and the spec that they make. Pure: what is typed goes
// in, a container goes out. It corrects nothing: the schema says what is wrong.

import { split } from './words.js';

// fields are those of the form. Findings at or below one of the pointers are
// shown beside the field.
export const fields = [
  { name: 'user', label: 'User', pointers: ['/user'], admin: true, hint: 'Whose it is to be.' },
  { name: 'space', label: 'Space', pointers: ['/space'], list: 'spaces', hint: 'Its private network; one of its own when empty.' },
  { name: 'name', label: 'Name', pointers: ['/name', '/metadata'], required: true, hint: 'Lower-case letters, digits and hyphens. Also its DNS name in the space.' },
  { name: 'from', label: 'Preset', pointers: ['/spec/from'], options: 'presets' },
  { name: 'image', label: 'Image', pointers: ['/spec/image'], list: 'images', mono: true, placeholder: 'ghcr.io/acme/web:1.4.2' },
  { name: 'command', label: 'Command', pointers: ['/spec/command'], mono: true, hint: 'Instead of the image’s own.' },
  { name: 'args', label: 'Arguments', pointers: ['/spec/args'], mono: true },
  { name: 'ports', label: 'Ports', pointers: ['/spec/ports'], mono: true, placeholder: 'http:8080, 9100', hint: 'It listens on these, for its space.' },
  { name: 'ingress', label: 'From outside', pointers: ['/spec/ingress'], choices: { '': 'Private', 443: 'HTTPS', 80: 'HTTP' } },
  { name: 'target', label: 'to port', pointers: ['/spec/ingress/0/targetPort'], mono: true, placeholder: '8080' },
  { name: 'cpu', label: 'CPU', pointers: ['/spec/resources/limits/cpu', '/spec/resources/requests/cpu'], mono: true, placeholder: '500m', limit: 'cpu' },
  { name: 'memory', label: 'Memory', pointers: ['/spec/resources/limits/memory', '/spec/resources/requests/memory'], mono: true, placeholder: '256Mi', limit: 'memory' },
  { name: 'env', label: 'Variables', pointers: ['/spec/env'], rows: 3, mono: true, placeholder: 'LOG_LEVEL=info', hint: 'One a line. Never a secret: who reads the repository reads it.' },
  { name: 'volumes', label: 'Volumes', pointers: ['/spec/volumes'], rows: 2, mono: true, placeholder: 'data:/var/lib/data', hint: 'Volumes of its space, one a line.' },
  { name: 'ttl', label: 'Expires after', pointers: ['/ttl', '/spec/expiresAt'], mono: true, placeholder: '8h' },
  { name: 'more', label: 'More of the spec, as JSON', pointers: [], rows: 3, mono: true, placeholder: '{"readinessProbe": {"httpGet": {"port": 8080}}}' },
];

// build makes the body of POST /compute/containers.
export function build(values) {
  const v = (name) => (values[name] ?? '').trim();
  const spec = {};
  const put = (name, value) => { if (value !== undefined && value !== '' && value.length !== 0) spec[name] = value; };
  put('from', v('from'));
  put('image', v('image'));
  put('command', split(v('command')));
  put('args', split(v('args')));
  put('ports', v('ports').split(',').map((p) => p.trim()).filter(Boolean).map(port));
  if (v('ingress')) put('ingress', [{ port: Number(v('ingress')), ...(v('target') && { targetPort: number(v('target')) }) }]);
  const limits = { ...(v('cpu') && { cpu: v('cpu') }), ...(v('memory') && { memory: v('memory') }) };
  if (Object.keys(limits).length > 0) spec.resources = { limits };
  put('env', lines(v('env')).map((line) => pair(line, '=', 'name', 'value')));
  put('volumes', lines(v('volumes')).map((line) => pair(line, ':', 'name', 'mountPath')));
  if (v('more')) merge(spec, JSON.parse(v('more')));
  const body = { name: v('name'), spec };
  for (const name of ['space', 'user', 'ttl']) if (v(name)) body[name] = v(name);
  return body;
}

// number leaves what is no number as it is, for the schema to say so.
function number(typed) {
  return /^\d+$/.test(typed) ? Number(typed) : typed;
}

function port(typed) {
  const [, name, containerPort, protocol] = /^(?:([^:/]+):)?([^:/]*)(?:\/(\w+))?$/.exec(typed) ?? [null, '', typed, ''];
  return { ...(name && { name }), containerPort: number(containerPort), ...(protocol && { protocol: protocol.toUpperCase() }) };
}

const lines = (typed) => typed.split('\n').map((l) => l.trim()).filter(Boolean);

function pair(line, mark, key, value) {
  const at = line.indexOf(mark);
  if (at < 0) return { [key]: line };
  return { [key]: line.slice(0, at).trim(), [value]: line.slice(at + 1).trim() };
}

// merge is an RFC 7396 merge patch.
function merge(target, patch) {
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete target[key];
    else if (typeof value === 'object' && !Array.isArray(value)) target[key] = merge(typeof target[key] === 'object' && !Array.isArray(target[key]) ? target[key] : {}, value);
    else target[key] = value;
  }
  return target;
}

// beside sorts findings to the fields that they speak of; those of no field are
// under ''.
export function beside(errors) {
  const found = {};
  for (const e of errors) {
    let best = { name: '', length: 0 };
    for (const f of fields) {
      for (const p of f.pointers) {
        const holds = e.pointer === p || e.pointer?.startsWith(`${p}/`);
        if (holds && p.length > best.length) best = { name: f.name, length: p.length };
      }
    }
    (found[best.name] ??= []).push(e);
  }
  return found;
}
