// How things are said, everywhere the same.

// phases are the states of a container, those that need somebody first.
export const phases = ['failed', 'unready', 'deleting', 'pending', 'starting', 'running', 'sleeping', 'stopped', 'expired'];

const tones = {
  failed: 'bad', unready: 'warn', deleting: 'warn', pending: 'busy', starting: 'busy',
  running: 'good', sleeping: 'idle', stopped: 'idle', expired: 'idle',
};

export const tone = (phase) => tones[phase] ?? 'idle';

// short is a revision as people say it.
export const short = (revision) => (revision ?? '').slice(0, 7);

// parts takes a container's id apart: <user>--<space>--<name>, without the
// last part where both have the same name.
export function parts(id) {
  const [user, space, name = space] = id.split('--');
  return { user, space, name };
}

// age is a span in its largest unit: 45s, 12m, 5h, 3d.
export function age(from, now = Date.now()) {
  if (!Number.isFinite(from)) return '';
  const seconds = Math.max(0, Math.floor((now - from) / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86400)}d`;
}

// clock is a time of day.
export function clock(time) {
  return new Date(time).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
}

// moment is a date and time as RFC 3339 writes it, with a blank, in the reader's zone.
export function moment(time) {
  const d = new Date(time);
  if (Number.isNaN(d.getTime())) return '';
  const two = (n) => String(n).padStart(2, '0');
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

// count is a number with its noun.
export function count(n, one, many = `${one}s`) {
  return `${n.toLocaleString('en')} ${n === 1 ? one : many}`;
}

// bytes is an amount in binary units.
export function bytes(n) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) {
    n /= 1024;
    unit++;
  }
  return `${n >= 100 || unit === 0 ? Math.round(n) : n.toFixed(1)} ${units[unit]}`;
}

// sentence begins with a capital letter, as what stands alone does.
export const sentence = (words) => words.charAt(0).toUpperCase() + words.slice(1);

// because joins a reason and its message.
export function because(reason, message) {
  if (!reason) return message ?? '';
  return message ? `${reason}: ${message}` : reason;
}
