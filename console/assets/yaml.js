// JSON values as YAML, for reading. Strings are quoted wherever YAML could take
// them for something else.

const plain = /^[A-Za-z0-9_./$@%+][A-Za-z0-9_./$@%+ ()=,;~^*-]*(:[A-Za-z0-9_./@%+=-]+)*$/;
const other = /^(?:~|null|true|false|yes|no|on|off|y|n|[-+.]?[0-9][0-9_.eE+:xob-]*|\.inf|\.nan)$/i;

function scalar(value) {
  if (typeof value !== 'string') return JSON.stringify(value);
  return plain.test(value) && !other.test(value) && !value.endsWith(' ') ? value : JSON.stringify(value);
}

// yaml is the value in block style; two blanks a level.
export function yaml(value, indent = '') {
  if (Array.isArray(value)) {
    if (value.length === 0) return `${indent}[]\n`;
    return value.map((item) => {
      if (!nested(item)) return `${indent}- ${flat(item)}\n`;
      return `${indent}- ${yaml(item, `${indent}  `).slice(indent.length + 2)}`;
    }).join('');
  }
  if (value !== null && typeof value === 'object') {
    const entries = Object.entries(value).filter(([, v]) => v !== undefined);
    if (entries.length === 0) return `${indent}{}\n`;
    return entries.map(([key, v]) => pair(indent, scalar(key), v)).join('');
  }
  return `${indent}${scalar(value)}\n`;
}

function pair(indent, key, v) {
  if (typeof v === 'string' && v.includes('\n') && /^\S/.test(v)) {
    const lines = v.replace(/\n$/, '').split('\n').map((line) => (line ? `${indent}  ${line}` : ''));
    return `${indent}${key}: |${v.endsWith('\n') ? '' : '-'}\n${lines.join('\n')}\n`;
  }
  if (!nested(v)) return `${indent}${key}: ${flat(v)}\n`;
  return `${indent}${key}:\n${yaml(v, Array.isArray(v) ? indent : `${indent}  `)}`;
}

const nested = (v) => v !== null && typeof v === 'object' && Object.keys(v).length > 0;

function flat(v) {
  if (v !== null && typeof v === 'object') return Array.isArray(v) ? '[]' : '{}';
  return scalar(v);
}
